#include "replay/ready_times.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "model/gradient_segments.h"

namespace gpumonth::replay {
namespace {

struct Sum {
  double ready_s = 0, backward_s = 0;
};

/// Whether the log's buckets are those of its configuration.
bool has_plan(const runlog::Run& run, const std::vector<Bucket>& plan, int value_bytes) {
  const auto fits = [&](const runlog::BucketRecord& b) {
    const auto k = static_cast<std::size_t>(b.bucket);
    return k < plan.size() && b.bytes == plan[k].range.count * value_bytes;
  };
  return !run.buckets.empty() && std::all_of(run.buckets.begin(), run.buckets.end(), fits);
}

/// Adds the log's ready times to `sums`, by the segment that made the bucket ready. Returns the number of sampled steps.
std::size_t add_buckets(const runlog::Run& run, std::span<const Segment> segments, std::map<int, Sum>& sums) {
  if (run.info.gathers_weights) return 0;  // backward waited in between
  const RecordedConfig config = recorded_config(run);
  const std::vector<Bucket> plan = plan_buckets(segments, static_cast<std::int64_t>(config.bucket_mib * 1048576));
  if (!has_plan(run, plan, 4) && !has_plan(run, plan, 2)) return 0;
  const auto before_backward_s = [](const runlog::StepRecord& s) { return s.data_s + s.forward_s; };
  // Early logs counted from the start of backward: there a bucket is ready sooner than backward begins.
  double earliest_s = 0;
  for (const auto& b : run.buckets)
    if (b.bucket == 0 && run.is_steady(b.step)) earliest_s += b.ready_s - before_backward_s(*run.find(b.step));
  std::set<std::int64_t> steps;
  for (const auto& b : run.buckets) {
    if (!run.is_steady(b.step)) continue;
    const runlog::StepRecord& step = *run.find(b.step);
    Sum& sum = sums[plan[static_cast<std::size_t>(b.bucket)].last_segment];
    sum.ready_s += b.ready_s - (earliest_s >= 0 ? before_backward_s(step) : 0);
    sum.backward_s += step.backward_s;
    steps.insert(b.step);
  }
  return steps.size();
}

}  // namespace

std::vector<double> shares_of_last(std::span<const double> share, int micro_batches) {
  std::vector<double> of_last;
  for (const double s : share) of_last.push_back(std::clamp((s - 1) * micro_batches + 1, 0.0, 1.0));
  return of_last;
}

ReadyTimes ready_times(const std::vector<runlog::Run>& logs, std::span<const Segment> segments) {
  const RecordedConfig config = recorded_config(logs.front());
  const std::vector<std::int64_t> macs = model::backward_macs(config.model, model::recompute_named(config.recompute));
  std::map<int, Sum> sums;
  std::vector<std::string> measured;
  for (const runlog::Run& run : logs)
    if (const std::size_t steps = add_buckets(run, segments, sums); steps > 0)
      measured.push_back(fmt::format("{} sampled steps of {}", steps, run.path));

  ReadyTimes times;
  times.estimated = measured.empty();
  const char* const why = logs.front().info.gathers_weights
                              ? "the log's bucket times contain what was waited for weights"
                              : "the log has no bucket times";
  times.source = times.estimated ? fmt::format("estimated from the FLOPs of backward's layers, as {}", why)
                                 : fmt::format("measured, {}", fmt::join(measured, ", "));
  double macs_before = 0, share_before = 1 - 1.0 / config.accumulate;
  std::size_t segment = 0;
  const auto up_to = [&](std::size_t last, double share) {
    const auto macs_then = static_cast<double>(macs[last]);
    for (; segment <= last; ++segment) {
      const double way =
          macs_then > macs_before ? (static_cast<double>(macs[segment]) - macs_before) / (macs_then - macs_before) : 1;
      times.share.push_back(share_before + way * (share - share_before));
    }
    macs_before = macs_then;
    share_before = share;
  };
  for (const auto& [last, sum] : sums)
    if (sum.backward_s > 0)
      up_to(static_cast<std::size_t>(last), std::clamp(sum.ready_s / sum.backward_s, share_before, 1.0));
  if (segment < segments.size()) up_to(segments.size() - 1, 1.0);
  return times;
}

}  // namespace gpumonth::replay
