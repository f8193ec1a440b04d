// A schedule in GOAL (Group Operation Assembly Language, Hoefler et al. 2009) as LogGOPSim's txt2bin reads it.
// Computing is `calc` in nanoseconds on cpu 0; a bucket is a ring of messages on cpu 1, so that both go on at the same
// time: GOAL has no collectives.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "base/clean_text.h"
#include "base/error.h"
#include "exchange/formats.h"

namespace gpumonth::exchange {
namespace {

constexpr double kMostLines = 2e7;  ///< about a gigabyte

/// Labels within one rank: what has to be done before the next operation of each kind.
using Labels = std::vector<std::int64_t>;

class GoalRank {
 public:
  GoalRank(std::string& text, const Timeline& timeline, int rank)
      : text_(text), timeline_(timeline), rank_(rank), ranks_(timeline.ranks()) {}

  void write() {
    text_ += fmt::format("\nrank {} {{\n", rank_);
    for (const auto* step : timeline_.steps()) add(timeline_.program(*step, rank_));
    text_ += "}\n";
  }

 private:
  void add(const std::vector<ProgramOperation>& program) {
    std::vector<Labels> ends;  // of each operation of the program
    for (const auto& operation : program) {
      Labels needs;
      for (const auto* places : {&operation.data, &operation.order})
        for (const auto place : *places) needs.insert(needs.end(), ends[place].begin(), ends[place].end());
      if (operation.data.empty()) needs.insert(needs.end(), step_before_.begin(), step_before_.end());
      ends.push_back(operation.operation.kind == Kind::collective ? ring(operation.operation, needs)
                                                                  : Labels{calc(operation.operation, needs)});
    }
    step_before_ = ends.back();
  }

  std::int64_t label(const std::string& what, const Labels& needs) {
    const std::int64_t own = ++labels_;
    fmt::format_to(std::back_inserter(text_), "l{}: {}\n", own, what);
    for (const auto before : needs) fmt::format_to(std::back_inserter(text_), "l{} requires l{}\n", own, before);
    return own;
  }

  /// Nanoseconds; what rounding takes from one operation the next one gets.
  std::int64_t calc(const Operation& operation, const Labels& needs) {
    const std::int64_t before = std::llround(computed_s_ * 1e9);
    computed_s_ += operation.duration_s;
    return label(fmt::format("calc {}", std::llround(computed_s_ * 1e9) - before), needs);
  }

  /// A bucket cut into a chunk for each rank. In each round a rank sends the chunk that it got in the round before:
  /// n - 1 rounds leave each rank one chunk of the sum, and as many more, of an all-reduce, bring all chunks to all.
  Labels ring(const Operation& bucket, const Labels& needs) {
    const int rounds = timeline_.reduction() == Reduction::all_reduce ? 2 * (ranks_ - 1) : ranks_ - 1;
    const int next = (rank_ + 1) % ranks_, previous = (rank_ + ranks_ - 1) % ranks_;
    std::int64_t sent = 0, received = 0;
    for (int round = 0; round < rounds; ++round, ++tag_) {
      const Labels ready = round == 0 ? needs : Labels{received};
      sent = label(fmt::format("send {}b to {} tag {} cpu 1", chunk_bytes(bucket, rank_ - round), next, tag_), ready);
      received = label(
          fmt::format("recv {}b from {} tag {} cpu 1", chunk_bytes(bucket, previous - round), previous, tag_), ready);
    }
    return {sent, received};
  }

  /// Of the chunk that stands at `place` in the ring. A message of no bytes is none: at least one.
  std::int64_t chunk_bytes(const Operation& bucket, int place) const {
    const std::int64_t chunk = ((place % ranks_) + ranks_) % ranks_;
    return std::max<std::int64_t>(1, bucket.bytes / ranks_ + (chunk < bucket.bytes % ranks_ ? 1 : 0));
  }

  std::string& text_;
  const Timeline& timeline_;
  int rank_, ranks_;
  std::int64_t labels_ = 0, tag_ = 0;  // a tag is one round of one bucket, on every rank
  double computed_s_ = 0;
  Labels step_before_;
};

/// Before gigabytes of text are made.
void require_size(const Timeline& timeline) {
  double lines = 0;
  for (const auto* step : timeline.steps())
    for (const auto& operation : timeline.program(*step, 0))
      lines += operation.operation.kind == Kind::collective ? 8.0 * (timeline.ranks() - 1) : 2.0;
  lines *= timeline.ranks();
  if (lines > kMostLines)
    user_error(
        "{}: its {} steps of {} ranks make a GOAL schedule of some {:.0e} lines, as a bucket is 2 (ranks - 1) messages "
        "on each rank: choose fewer steps with --steps, or --chakra, which has collectives",
        timeline.run().path, timeline.steps().size(), timeline.ranks(), lines);
}

}  // namespace

std::string to_goal(const Timeline& timeline) {
  require_size(timeline);
  const auto& run = timeline.run();
  std::string text = fmt::format(
      "// gpumonth export of {}, {}: steps {} to {}\n// calc in ns; what ranks other than 0 compute is rank 0's, "
      "stretched to their busy times\nnum_ranks {}\n",
      clean_line(run.path), runlog::name(run.info.origin), timeline.steps().front()->step,
      timeline.steps().back()->step, timeline.ranks());
  for (int rank = 0; rank < timeline.ranks(); ++rank) GoalRank(text, timeline, rank).write();
  return text;
}

}  // namespace gpumonth::exchange
