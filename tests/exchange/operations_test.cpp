// What a run log's steps become: worked out by hand from tests/exchange/made_run.h.
#include "exchange/operations.h"

#include <algorithm>
#include <map>

#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using namespace gpumonth;
using namespace gpumonth::exchange;

namespace {

Timeline timeline_of(const runlog::Run& run, const std::string& steps) {
  return {run, select_steps(run, steps, DefaultSteps::last_steady)};
}

struct Expected {
  Kind kind;
  int bucket;
  double start_s, end_s;
  Source source;
};

void check(const std::vector<Operation>& list, const std::vector<Expected>& expected) {
  REQUIRE(list.size() == expected.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    INFO(i << " " << name(list[i].kind));
    CHECK(list[i].kind == expected[i].kind);
    CHECK(list[i].bucket == expected[i].bucket);
    CHECK(list[i].start_s == Approx(expected[i].start_s).margin(1e-9));
    CHECK(list[i].end_s() == Approx(expected[i].end_s).margin(1e-9));
    CHECK(list[i].source == expected[i].source);
  }
}

double total_s(const std::vector<ProgramOperation>& program, Kind kind) {
  double sum = 0;
  for (const auto& node : program)
    if (node.operation.kind == kind) sum += node.operation.duration_s;
  return sum;
}

}  // namespace

TEST_CASE("a step of rank 0 with a timeline of its buckets") {
  const auto run = samples::made_run();
  const Timeline timeline = timeline_of(run, "8");
  using enum Kind;
  using enum Source;
  check(timeline.operations(*timeline.steps()[0], 0), {{data, -1, 7, 7.05, measured},
                                                       {forward, -1, 7.05, 7.3, measured},
                                                       {backward, 0, 7.3, 7.4, measured},
                                                       {backward, 1, 7.4, 7.45, measured},
                                                       {backward, 2, 7.45, 7.6, measured},
                                                       {wait, -1, 7.6, 7.7, measured},  // until bucket 2 was done
                                                       {optimizer, -1, 7.7, 7.8, measured},
                                                       {wait, -1, 7.8, 7.85, placed},
                                                       {other, -1, 7.85, 8, placed},
                                                       {collective, 0, 7.4, 7.5, measured},
                                                       {bucket_wait, 1, 7.45, 7.5, measured},
                                                       {collective, 1, 7.5, 7.6, measured},
                                                       {collective, 2, 7.6, 7.7, measured}});
}

TEST_CASE("a step without a timeline, and other ranks: no more than the log has") {
  const auto run = samples::made_run();
  const Timeline timeline = timeline_of(run, "9");
  using enum Kind;
  using enum Source;
  check(timeline.operations(*timeline.steps()[0], 0), {{data, -1, 8, 8.05, measured},
                                                       {forward, -1, 8.05, 8.3, measured},
                                                       {backward, -1, 8.3, 8.6, measured},
                                                       {wait, -1, 8.6, 8.75, placed},
                                                       {optimizer, -1, 8.75, 8.85, measured},
                                                       {other, -1, 8.85, 9, placed}});
  check(timeline.operations(*timeline.steps()[0], 1), {{busy, -1, 8, 8.77, placed}});
  REQUIRE(timeline.notes().size() == 2);
  CHECK_THAT(timeline.notes()[0], gpumonth::tests::contains("1 of 1 steps have no timeline"));
  CHECK_THAT(timeline.notes()[1], gpumonth::tests::contains("of ranks other than 0"));
}

TEST_CASE("a rank of which the log has nothing has no operations") {
  auto run = samples::made_run();
  run.rank_steps.clear();
  run.rank_step_time_s.clear();
  const Timeline timeline = timeline_of(run, "8");
  CHECK(timeline.operations(*timeline.steps()[0], 1).empty());
  CHECK_THAT(timeline.notes().at(0), gpumonth::tests::contains("of 1 of 1 steps nothing is known of the other ranks"));
}

TEST_CASE("bucket times of old logs are moved to the step's start") {
  auto run = samples::made_run();
  const auto expected = timeline_of(run, "8").operations(run.steps[7], 0);
  for (auto& bucket : run.buckets) {
    bucket.ready_s -= 0.3;
    bucket.start_s -= 0.3;
    bucket.end_s -= 0.3;
  }
  const Timeline timeline = timeline_of(run, "8");
  const auto list = timeline.operations(run.steps[7], 0);
  REQUIRE(list.size() == expected.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    CHECK(list[i].start_s == Approx(expected[i].start_s));
    CHECK(list[i].duration_s == Approx(expected[i].duration_s));
  }
  CHECK_THAT(timeline.notes().at(0), gpumonth::tests::contains("older version"));
}

TEST_CASE("a program computes as long as the rank was busy, and each bucket comes behind the piece that made it") {
  const auto run = samples::made_run(3);
  const Timeline timeline = timeline_of(run, "8");
  for (int rank = 0; rank < 3; ++rank) {
    INFO("rank " << rank);
    const auto program = timeline.program(*timeline.steps()[0], rank);
    const double stretch = 1 + 0.1 * rank;
    CHECK(total_s(program, Kind::data) + total_s(program, Kind::forward) + total_s(program, Kind::backward) +
              total_s(program, Kind::optimizer) ==
          Approx(0.7 * stretch));
    CHECK(total_s(program, Kind::backward) == Approx(0.3 * stretch));
    CHECK(total_s(program, Kind::other) == Approx(0.15));
    CHECK(total_s(program, Kind::wait) == 0);
    std::vector<std::size_t> buckets;
    for (std::size_t i = 0; i < program.size(); ++i) {
      for (const auto before : program[i].data) CHECK(before < i);
      if (program[i].operation.kind != Kind::collective) continue;
      REQUIRE(program[i].data.size() == 1);
      const Operation& piece = program[program[i].data[0]].operation;
      CHECK(piece.kind == Kind::backward);
      CHECK(piece.bucket == program[i].operation.bucket);
      CHECK(program[i].order == (buckets.empty() ? buckets : std::vector{buckets.back()}));
      buckets.push_back(i);
    }
    CHECK(buckets.size() == 3);
    const auto optimizer =
        std::ranges::find_if(program, [](const auto& node) { return node.operation.kind == Kind::optimizer; });
    REQUIRE(optimizer != program.end());
    CHECK(std::ranges::count(optimizer->data, buckets.back()) == 1);
    CHECK(program.back().operation.kind == Kind::other);
    CHECK(program[0].operation.source == (rank == 0 ? Source::measured : Source::scaled));
  }
}

TEST_CASE("buckets that are ready together, or when backward is over, keep their place in a program") {
  auto run = samples::made_run();
  for (auto& bucket : run.buckets) bucket.ready_s = bucket.bucket < 2 ? 0.45 : 0.9;  // bucket 2: behind backward's end
  for (auto& step : run.steps) step.optimizer_s = 0, step.step_time_s = 0.75;        // and nothing behind that
  const Timeline timeline = timeline_of(run, "8");
  const auto program = timeline.program(*timeline.steps()[0], 0);
  std::map<int, std::size_t> places;
  for (std::size_t i = 0; i < program.size(); ++i)
    if (program[i].operation.kind == Kind::collective) places[program[i].operation.bucket] = i;
  REQUIRE(places.size() == 3);
  CHECK(program[places[1]].data == program[places[0]].data);
  CHECK(program[program[places[2]].data.at(0)].operation.bucket == 2);
  CHECK(program.back().operation.duration_s == 0);
  CHECK(std::ranges::count(program.back().data, places[2]) == 1);
}

TEST_CASE("one rank has no collectives, whatever timeline its log holds") {
  auto run = samples::made_run(1);
  run.buckets.push_back({8, 0, 1000, 0.4, 0.4, 0.4});
  const Timeline timeline = timeline_of(run, "8");
  for (const auto& operation : timeline.operations(*timeline.steps()[0], 0)) CHECK(operation.kind != Kind::collective);
  for (const auto& node : timeline.program(*timeline.steps()[0], 0)) CHECK(node.operation.kind != Kind::collective);
  CHECK(timeline.notes().empty());
}

TEST_CASE("a sharded optimizer's buckets are reduce-scattered") {
  auto run = samples::made_run();
  CHECK(timeline_of(run, "8").reduction() == Reduction::all_reduce);
  run.info.config_toml = "[comm]\nsharding = \"optimizer\"  # of moments\n";
  CHECK(timeline_of(run, "8").reduction() == Reduction::reduce_scatter);
}
