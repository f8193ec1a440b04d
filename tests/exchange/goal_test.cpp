// A schedule is read again by the grammar of LogGOPSim's txt2bin.re, and run: messages that match, no deadlock, and
// the time and bytes of the log.
#include <algorithm>
#include <array>
#include <map>
#include <regex>
#include <sstream>
#include <tuple>

#include "base/error.h"
#include "exchange/formats.h"
#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using namespace gpumonth;
using namespace gpumonth::exchange;

namespace {

struct GoalOperation {
  char type;  // c, s, r
  std::int64_t size;
  int peer = -1, cpu = 0;
  std::int64_t tag = 0;
  std::vector<std::size_t> needs = {};
};
using Schedule = std::vector<std::vector<GoalOperation>>;  // by rank

Schedule parse(const std::string& text) {
  static const std::regex calc(R"(l(\d+): calc (\d+)( cpu (\d+))?)"), requires_(R"(l(\d+) requires l(\d+))"),
      message(R"(l(\d+): (send|recv) (\d+)b (to|from) (\d+) tag (\d+) cpu (\d+))"), rank_begins(R"(rank (\d+) \{)");
  Schedule schedule;
  std::istringstream lines(text);
  std::smatch m;
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    if (line.empty() || line == "}" || line.starts_with("//")) continue;
    if (line.starts_with("num_ranks ")) {
      schedule.reserve(static_cast<std::size_t>(std::stoi(line.substr(10))));
    } else if (std::regex_match(line, m, rank_begins)) {
      REQUIRE(std::stoul(m[1]) == schedule.size());
      schedule.emplace_back();
    } else if (std::regex_match(line, m, calc)) {
      schedule.back().push_back({'c', std::stoll(m[2])});
      REQUIRE(std::stoul(m[1]) == schedule.back().size());
    } else if (std::regex_match(line, m, message)) {
      CHECK((m[2] == "send") == (m[4] == "to"));
      schedule.back().push_back(
          {m[2] == "send" ? 's' : 'r', std::stoll(m[3]), std::stoi(m[5]), std::stoi(m[7]), std::stoll(m[6]), {}});
      REQUIRE(std::stoul(m[1]) == schedule.back().size());
    } else {
      REQUIRE(std::regex_match(line, m, requires_));
      REQUIRE(std::stoul(m[2]) < std::stoul(m[1]));
      schedule.back().at(std::stoul(m[1]) - 1).needs.push_back(std::stoul(m[2]) - 1);
    }
  }
  CHECK(schedule.capacity() == schedule.size());
  return schedule;
}

/// When each rank ends, in ns, where a message takes `ns_per_byte` and no other time: operations in their order, as all
/// their needs stand before them.
std::vector<double> run(const Schedule& schedule, double ns_per_byte) {
  std::map<std::tuple<int, int, std::int64_t, std::int64_t>, std::vector<double>> sent;  // from, to, tag, bytes
  std::vector<std::vector<double>> ends(schedule.size());
  std::vector<std::array<double, 2>> cpu_free(schedule.size());
  bool moved = true;
  while (moved) {
    moved = false;
    for (std::size_t r = 0; r < schedule.size(); ++r) {
      while (ends[r].size() < schedule[r].size()) {
        const auto& o = schedule[r][ends[r].size()];
        double begin = 0;
        for (const auto need : o.needs) begin = std::max(begin, ends[r].at(need));
        const int me = static_cast<int>(r);
        if (o.type == 'r') {
          auto& messages = sent[{o.peer, me, o.tag, o.size}];
          if (messages.empty()) break;
          begin = std::max(begin, messages.front());
          messages.erase(messages.begin());
          ends[r].push_back(begin);
        } else if (o.type == 's') {
          ends[r].push_back(begin);
          sent[{me, o.peer, o.tag, o.size}].push_back(begin + ns_per_byte * static_cast<double>(o.size));
        } else {
          begin = std::max(begin, cpu_free[r][0]);
          ends[r].push_back(cpu_free[r][0] = begin + static_cast<double>(o.size));
        }
        moved = true;
      }
    }
  }
  std::vector<double> last;
  for (std::size_t r = 0; r < schedule.size(); ++r) {
    REQUIRE(ends[r].size() == schedule[r].size());  // else: a deadlock, or a message that nobody sends
    last.push_back(*std::ranges::max_element(ends[r]));
  }
  for (const auto& [key, messages] : sent) CHECK(messages.empty());
  return last;
}

Schedule schedule_of(const runlog::Run& run, const std::string& steps) {
  return parse(to_goal(Timeline(run, select_steps(run, steps, DefaultSteps::last_exchanged))));
}

std::int64_t sent_bytes(const std::vector<GoalOperation>& operations) {
  std::int64_t sum = 0;
  for (const auto& o : operations)
    if (o.type == 's') sum += o.size;
  return sum;
}

}  // namespace

TEST_CASE("a ring of messages carries each bucket, and ends") {
  for (const int ranks : {2, 3, 5}) {
    INFO(ranks << " ranks");
    const auto run_log = samples::made_run(ranks);
    const auto schedule = schedule_of(run_log, "4:12");  // 4, 8, 12
    REQUIRE(schedule.size() == static_cast<std::size_t>(ranks));
    std::int64_t all = 0;
    for (const auto& rank : schedule) all += sent_bytes(rank);
    CHECK(all == 2 * (ranks - 1) * 3 * std::int64_t{2'500'001});  // each chunk passes n - 1 links twice
    // Without a network the slowest rank's computing is all the time there is: it is busy for 0.7 s x its stretch, and
    // 0.15 s more, in each step, and nobody can begin the last bucket's end before it.
    const auto ends = ::run(schedule, 0);
    const double slowest = 3 * (0.7 * (1 + 0.1 * (ranks - 1)) + 0.15) * 1e9;
    CHECK(*std::ranges::max_element(ends) == Approx(slowest).epsilon(1e-6));
  }
}

TEST_CASE("messages overlap with backward, and delay what comes behind it") {
  const auto run_log = samples::made_run(2);
  auto steps = run_log;
  for (auto& time : steps.rank_step_time_s) time = 0.7F;  // both alike
  // at 1e-6 ns a byte messages take nothing, at 200 ns a round of 0.5 MB takes 0.1 s
  const auto fast = ::run(schedule_of(steps, "8"), 1e-6);
  CHECK(fast[0] == Approx(0.85e9).epsilon(1e-5));
  const auto slow = ::run(schedule_of(steps, "8"), 200);
  // buckets begin at 0.4 s and take 2 rounds of half the bytes: 0.2 + 0.2 + 0.1 s; then optimizer and other
  CHECK(slow[0] == Approx(0.4e9 + 0.5e9 + 0.25e9).epsilon(1e-5));
}

TEST_CASE("a sharded optimizer's buckets make half the rounds; one rank sends nothing") {
  auto run_log = samples::made_run(4);
  run_log.info.config_toml = "[comm]\nsharding = \"optimizer\"\n";
  std::int64_t all = 0;
  const auto schedule = schedule_of(run_log, "8");
  for (const auto& rank : schedule) all += sent_bytes(rank);
  CHECK(all == 3 * std::int64_t{2'500'001});
  ::run(schedule, 1);
  const auto alone = schedule_of(samples::made_run(1), "8");
  CHECK(sent_bytes(alone[0]) == 0);
  CHECK(::run(alone, 0)[0] == Approx(0.85e9));
}

TEST_CASE("a bucket of fewer bytes than ranks still has messages of a byte") {
  auto run_log = samples::made_run(5);
  for (auto& bucket : run_log.buckets) bucket.bytes = 2;
  for (const auto& rank : schedule_of(run_log, "8"))
    for (const auto& o : rank)
      if (o.type != 'c') CHECK(o.size == 1);
}

TEST_CASE("a schedule of gigabytes is refused before it is made") {
  auto run_log = samples::made_run(4096);
  CHECK_THROWS_AS(schedule_of(run_log, "8"), UserError);
}
