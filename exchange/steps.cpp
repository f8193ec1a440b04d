#include "exchange/steps.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::exchange {
namespace {

using runlog::Phase;
using runlog::Run;
using runlog::StepRecord;
using Steps = std::vector<const StepRecord*>;

constexpr std::size_t kLastSteady = 10, kLastExchanged = 5, kFurthestBack = 1000;

struct StepRange {
  std::int64_t first, last;
};

std::int64_t step_number(std::string_view text, const std::string& asked) {
  const auto number = parse_number(text);
  if (!number || *number < 0 || *number > 1e15 || *number != static_cast<double>(static_cast<std::int64_t>(*number)))
    user_error("--steps {}: '{}' is not the number of a step: give A:B, such as 20:29, or one step", asked,
               trimmed(text));
  return static_cast<std::int64_t>(*number);
}

StepRange parse_range(const std::string& asked) {
  const auto colon = asked.find(':');
  if (colon == std::string::npos) {
    const std::int64_t step = step_number(asked, asked);
    return {step, step};
  }
  const std::string_view text = asked;
  const StepRange range{step_number(text.substr(0, colon), asked), step_number(text.substr(colon + 1), asked)};
  if (range.first > range.last)
    user_error("--steps {}: ends before it begins: write the smaller number first, --steps {}:{}", asked, range.last,
               range.first);
  return range;
}

/// "1 to 30"
std::string extent(const Run& run) { return fmt::format("{} to {}", run.steps.front().step, run.steps.back().step); }

std::set<std::int64_t> steps_with_buckets(const Run& run) {
  std::set<std::int64_t> steps;
  for (const auto& bucket : run.buckets) steps.insert(bucket.step);
  return steps;
}

Steps in_range(const Run& run, const std::string& asked) {
  const StepRange range = parse_range(asked);
  Steps steps;
  for (const auto& step : run.steps)
    if (range.first <= step.step && step.step <= range.last) steps.push_back(&step);
  if (steps.empty()) user_error("--steps {}: {} has no such step, but {}", asked, run.path, extent(run));
  return steps;
}

Steps steady_steps(const Run& run) {
  Steps steps;
  for (const auto& step : run.steps)
    if (step.phase == Phase::steady) steps.push_back(&step);
  if (steps.empty())
    user_error("{}: has no steady step: train for longer than log.steady_after, or name steps, --steps {}:{}", run.path,
               run.steps.front().step, run.steps.back().step);
  return steps;
}

/// How many of the last steady steps make a picture in which a timeline of buckets is seen, if there is one.
std::size_t count_to_timeline(const Steps& steady, const std::set<std::int64_t>& with_buckets) {
  const std::size_t most = std::min(steady.size(), kFurthestBack);
  for (std::size_t count = 1; count <= most; ++count)
    if (with_buckets.contains(steady[steady.size() - count]->step)) return std::max(count, kLastSteady);
  return kLastSteady;
}

Steps only_exchanged(const Steps& steps, const Run& run, const std::set<std::int64_t>& with_buckets) {
  if (run.info.world_size == 1) return steps;
  Steps exchanged;
  for (const StepRecord* step : steps)
    if (with_buckets.contains(step->step)) exchanged.push_back(step);
  if (!exchanged.empty()) return exchanged;
  if (with_buckets.empty())
    user_error(
        "{}: has no timeline of gradient buckets, so that nothing is known of what its {} ranks exchanged: train with "
        "log.bucket_every = 1 and comm.transport mpi or nccl",
        run.path, run.info.world_size);
  user_error(
      "{}: none of these {} steps has a timeline of gradient buckets (log.bucket_every): name one that has, such as "
      "--steps {}",
      run.path, steps.size(), *with_buckets.rbegin());
}

void keep_last(Steps& steps, std::size_t count) {
  if (steps.size() > count) steps.erase(steps.begin(), steps.end() - static_cast<std::ptrdiff_t>(count));
}

std::string left_out_text(const Run& run, const Steps& steps, bool buckets_needed) {
  const std::size_t out = run.steps.size() - steps.size();
  if (out == 0) return "";
  return fmt::format(
      "{} of {} steps are left out{}: --steps A:B names others, of {}", out, run.steps.size(),
      buckets_needed && run.info.world_size > 1 ? " (those without a timeline of buckets among them)" : "",
      extent(run));
}

}  // namespace

StepSelection select_steps(const Run& run, const std::string& asked, DefaultSteps by_default) {
  if (run.steps.empty())
    user_error("{}: has no steps{}", run.path,
               run.comm.rows.empty() ? ": train first" : ": it is a log of gpumonth comm");
  const std::set<std::int64_t> with_buckets = steps_with_buckets(run);
  const bool needs_buckets = by_default == DefaultSteps::last_exchanged;
  Steps steps;
  if (!asked.empty()) {
    steps = in_range(run, asked);
  } else if (by_default == DefaultSteps::all) {
    for (const auto& step : run.steps) steps.push_back(&step);
  } else {
    steps = steady_steps(run);
  }
  if (needs_buckets) steps = only_exchanged(steps, run, with_buckets);
  if (asked.empty() && by_default == DefaultSteps::last_steady)
    keep_last(steps, count_to_timeline(steps, with_buckets));
  if (asked.empty() && needs_buckets) keep_last(steps, kLastExchanged);
  return {steps, left_out_text(run, steps, needs_buckets)};
}

}  // namespace gpumonth::exchange
