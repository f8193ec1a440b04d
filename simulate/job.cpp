#include "simulate/job.h"

#include <fmt/format.h>

#include "base/bucket_plan.h"
#include "replay/replayed_steps.h"

namespace gpumonth::simulate {
namespace {

std::vector<Bucket> buckets_of(const Plan& plan) {
  const double mib = plan.changes.bucket_mib > 0 ? plan.changes.bucket_mib : plan.recording.config.bucket_mib;
  return plan_buckets(plan.recording.segments, static_cast<std::int64_t>(mib * (1 << 20)));
}

double bytes_per_value(const Plan& plan) {
  const std::string& type = plan.changes.reduce_dtype.empty() ? plan.recording.config.wire : plan.changes.reduce_dtype;
  return (type == "bf16" ? 2 : 4) * plan.changes.byte_scale;
}

/// Without stragglers, whose factors a job holds apart.
WorkStep work_of(const replay::StepTimes& times, const std::vector<Bucket>& buckets, const replay::ReadyTimes& ready) {
  WorkStep work{times.data_s, times.forward_s, times.backward_s, times.optimizer_s, times.other_s, {}};
  for (const Bucket& bucket : buckets)
    work.ready_s.push_back(ready.share[static_cast<std::size_t>(bucket.last_segment)] * times.backward_s);
  return work;
}

/// One rank without its straggler's factor.
replay::StepTimes unstretched(replay::StepTimes times, double factor) {
  for (double* part : {&times.data_s, &times.forward_s, &times.backward_s, &times.optimizer_s}) *part /= factor;
  return times;
}

}  // namespace

Job make_job(const Plan& plan, const Cluster& cluster, int ranks) {
  Job job;
  job.cluster = cluster;
  job.shape = shape_of(cluster, ranks);
  const std::vector<Bucket> buckets = buckets_of(plan);
  const double size = bytes_per_value(plan);
  for (const Bucket& bucket : buckets)
    job.bucket_bytes.push_back(static_cast<std::int64_t>(size * static_cast<double>(bucket.range.count) + 0.5));
  const replay::ReplayedSteps steps(plan.recording, plan.changes, plan.seed);
  const replay::Stragglers stragglers(plan.changes.stragglers ? plan.recording.spread : replay::Spread{}, plan.seed);
  job.factors.reserve(static_cast<std::size_t>(plan.steps) * static_cast<std::size_t>(ranks));
  for (int s = 1; s <= plan.steps; ++s) {
    job.steps.push_back(work_of(unstretched(steps.at(s, 0), stragglers.factor(s, 0)), buckets, plan.recording.ready));
    for (int r = 0; r < ranks; ++r) job.factors.push_back(static_cast<float>(stragglers.factor(s, r)));
  }
  return job;
}

std::int64_t batch_per_rank(const Plan& plan) {
  return replay::ReplayedSteps(plan.recording, plan.changes, plan.seed).batch_per_rank();
}

std::vector<std::string> notes(const Plan& plan) {
  std::vector<std::string> all;
  if (plan.recording.ready.estimated) all.push_back("ready times of buckets: " + plan.recording.ready.source);
  if (plan.recording.config.sharding != "none")
    all.push_back(
        fmt::format("recorded with comm.sharding = \"{}\": simulated as all-reduces, which send as many bytes, "
                    "and with the update's time as recorded",
                    plan.recording.config.sharding));
  if (plan.changes.stragglers && plan.recording.spread.persistent == 0 && plan.recording.spread.per_step == 0)
    all.push_back("no stragglers: no log has steady steps of several ranks that would tell their spread");
  return all;
}

}  // namespace gpumonth::simulate
