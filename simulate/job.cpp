#include "simulate/job.h"

#include <fmt/format.h>

#include "base/bucket_plan.h"
#include "replay/replayed_steps.h"

namespace gpumonth::simulate {
namespace {

/// Without stragglers, whose factors a job holds apart.
WorkStep work_of(const replay::StepTimes& times, const std::vector<Bucket>& buckets, const replay::ReadyTimes& ready) {
  WorkStep work{times.data_s, times.forward_s, times.backward_s, times.optimizer_s, times.other_s, {}};
  for (const Bucket& bucket : buckets)
    work.ready_s.push_back(ready.share[static_cast<std::size_t>(bucket.last_segment)] * times.backward_s);
  return work;
}

}  // namespace

Job make_job(const Plan& plan, const Cluster& cluster, int ranks) {
  Job job;
  job.cluster = cluster;
  job.shape = shape_of(cluster, ranks);
  const replay::RecordedConfig config = replay::changed(plan.recording.config, plan.changes);
  const std::vector<Bucket> buckets =
      plan_buckets(plan.recording.segments, static_cast<std::int64_t>(config.bucket_mib * (1 << 20)));
  const double size = (config.wire == "bf16" ? 2 : 4) * plan.changes.byte_scale;
  for (const Bucket& bucket : buckets)
    job.bucket_bytes.push_back(static_cast<std::int64_t>(size * static_cast<double>(bucket.range.count) + 0.5));
  const replay::ReplayedSteps steps(plan.recording, plan.changes, plan.seed);
  job.batch_per_rank = steps.batch_per_rank();
  job.factors.reserve(static_cast<std::size_t>(plan.steps) * static_cast<std::size_t>(ranks));
  for (int s = 1; s <= plan.steps; ++s) {
    job.steps.push_back(work_of(steps.drawn(s), buckets, plan.recording.ready));
    for (int r = 0; r < ranks; ++r) job.factors.push_back(static_cast<float>(steps.factor(s, r)));
  }
  return job;
}

std::vector<std::string> notes(const Plan& plan) {
  std::vector<std::string> all;
  if (plan.recording.ready.estimated) all.push_back("ready times of buckets: " + plan.recording.ready.source);
  if (plan.recording.config.sharding != "none")
    all.push_back(
        fmt::format("recorded with comm.sharding = \"{}\": simulated as all-reduces, which send as many bytes, "
                    "and with the update's time as recorded",
                    plan.recording.config.sharding));
  if (plan.changes.stragglers && !plan.changes.spread && plan.recording.spread.persistent == 0 &&
      plan.recording.spread.per_step == 0)
    all.push_back(
        "no stragglers: no log has steady steps of several ranks that would tell their spread; --stragglers 0.02,0.01 "
        "assumes one");
  return all;
}

}  // namespace gpumonth::simulate
