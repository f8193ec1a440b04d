#include "simulate/job.h"

#include <fmt/format.h>

#include "base/bucket_plan.h"
#include "base/bucket_shares.h"
#include "model/flops.h"
#include "model/gradient_segments.h"
#include "replay/replayed_steps.h"
#include "simulate/all_reduce.h"

namespace gpumonth::simulate {
namespace {

/// Without stragglers, whose factors a job holds apart.
WorkStep work_of(const replay::StepTimes& times, const std::vector<Bucket>& buckets, const replay::ReadyTimes& ready) {
  WorkStep work{times.data_s, times.forward_s, times.backward_s, times.optimizer_s, times.other_s, {}};
  for (const Bucket& bucket : buckets)
    work.ready_s.push_back(ready.share[static_cast<std::size_t>(bucket.last_segment)] * times.backward_s);
  return work;
}

constexpr std::int64_t kNormBlock = 65536;  // values of a partial sum of the norm, trainer/ops/grad_norm.h

bool on_cpu(const Plan& plan) { return plan.recording.info.backend == "cpu"; }

/// The gradients' norm from sums of the ranks' parts, as trainer/dit/dit_step.h has them.
double norm_s(const Plan& plan, std::int64_t values, const Job& job) {
  const std::int64_t sums =
      (values + kNormBlock - 1) / kNormBlock + 2 * (std::ssize(plan.recording.segments) + std::ssize(job.bucket_bytes));
  const double bytes = sizeof(double) * plan.changes.byte_scale * static_cast<double>(sums);
  return all_reduce_s(choose_traffic(job.cluster, job.shape, bytes), job.cluster, bytes);
}

/// As NcclReducer sends it; CPU ranks, as ThreadReducer has it, all-reduce their buckets and broadcast every part. `size`:
/// bytes of a gradient on its way; parameters are fp32.
Sharding sharding_of(const Plan& plan, const std::vector<Bucket>& buckets, double size, const Job& job) {
  Sharding sharding;
  const double parameter_size = sizeof(float) * plan.changes.byte_scale;
  std::int64_t values = 0;
  for (const Bucket& bucket : buckets) {
    const auto rest = static_cast<double>(rest_of(bucket.range, job.shape.ranks()).count);
    const double shared = static_cast<double>(bucket.range.count) - rest;
    sharding.scattered_bytes.push_back(on_cpu(plan) ? 0 : size * shared);
    sharding.gathered_bytes += parameter_size * shared;
    sharding.broadcast_bytes += parameter_size * rest;
    values += bucket.range.count;
  }
  sharding.norm_s = norm_s(plan, values, job);
  return sharding;
}

/// Before the blocks, each block, behind them: shares of forward's time, by MACs. The log does not say.
std::vector<double> forward_shares(const model::ModelConfig& m) {
  const auto h = static_cast<double>(m.hidden_size), T = static_cast<double>(m.tokens());
  const auto [linear, attention] = model::block_forward_macs(m, T);
  std::vector<double> shares(static_cast<std::size_t>(m.depth) + 2, linear + attention + 6 * h * h);
  shares.front() = T * m.patch_in() * h + model::kFrequencyEmbeddingSize * h + h * h;
  shares.back() = 2 * h * h + T * m.patch_out() * h;
  const double all = static_cast<double>(model::forward_macs(m));
  for (double& share : shares) share /= all;
  return shares;
}

/// As comm/host/thread_shard_reducer.cpp sends it, and NCCL ranks: products' weights in the compute type, the others in fp32.
FullSharding full_of(const Plan& plan, const std::vector<Bucket>& buckets, double size, const Job& job) {
  const model::ModelConfig& m = plan.recording.config.model;
  const model::SegmentOrder order{m.depth};
  const bool typed = !on_cpu(plan) && plan.recording.info.dtype == "bf16";
  FullSharding full{.depth = m.depth, .forward_shares = forward_shares(m), .grouped = !on_cpu(plan)};
  std::int64_t values = 0;
  for (int s = 0; s < order.count(); ++s) {
    const Segment& segment = buckets[static_cast<std::size_t>(s)].range;
    const auto rest = static_cast<double>(rest_of(segment, job.shape.ranks()).count);
    const double shared = static_cast<double>(segment.count) - rest;
    full.scattered_bytes.push_back(size * shared);
    values += segment.count;
    if (order.layer(s) > 0) continue;  // blocks are alike
    const bool product = order.is_block(s) && order.in_block(s) != model::SegmentOrder::kAdaln;
    const double weight_size = (typed && product ? 2 : 4) * plan.changes.byte_scale;
    FullSharding::Unit& unit = order.is_block(s) ? full.block : full.outer;
    unit.gathered_bytes += weight_size * shared;
    unit.broadcast_bytes += weight_size * rest;
    unit.gathers += shared > 0;
    unit.broadcasts += rest > 0;
  }
  full.norm_s = norm_s(plan, values, job);
  return full;
}

/// Full sharding has a bucket for each segment.
std::vector<Bucket> buckets_of(const Plan& plan, const replay::RecordedConfig& config, bool full) {
  const std::vector<Segment>& segments = plan.recording.segments;
  if (!full) return plan_buckets(segments, static_cast<std::int64_t>(config.bucket_mib * (1 << 20)));
  std::vector<Bucket> buckets;
  for (std::size_t s = 0; s < segments.size(); ++s) buckets.push_back({segments[s], static_cast<int>(s)});
  return buckets;
}

}  // namespace

Job make_job(const Plan& plan, const Cluster& cluster, int ranks) {
  Job job;
  job.cluster = cluster;
  job.shape = shape_of(cluster, ranks);
  const replay::RecordedConfig config = replay::changed(plan.recording.config, plan.changes);
  const bool full = config.sharding == "full" && ranks > 1;
  const std::vector<Bucket> buckets = buckets_of(plan, config, full);
  const double size = (config.wire == "bf16" ? 2 : 4) * plan.changes.byte_scale;
  for (const Bucket& bucket : buckets)
    job.bucket_bytes.push_back(static_cast<std::int64_t>(size * static_cast<double>(bucket.range.count) + 0.5));
  const bool sharded = config.sharding == "optimizer" && ranks > 1;
  // CPU ranks of one host hold parameters and moments once: each updates its part where all see it
  if (sharded && !(on_cpu(plan) && job.shape.hosts == 1)) job.sharding = sharding_of(plan, buckets, size, job);
  if (full) job.full = full_of(plan, buckets, size, job);
  const double update_scale = replay::update_scale(plan.recording, sharded || full ? ranks : 1);
  const replay::ReplayedSteps steps(plan.recording, plan.changes, plan.seed);
  job.batch_per_rank = steps.batch_per_rank();
  job.factors.reserve(static_cast<std::size_t>(plan.steps) * static_cast<std::size_t>(ranks));
  for (int s = 1; s <= plan.steps; ++s) {
    job.steps.push_back(work_of(steps.drawn(s), buckets, plan.recording.ready));
    job.steps.back().optimizer_s *= update_scale;
    for (int r = 0; r < ranks; ++r) job.factors.push_back(static_cast<float>(steps.factor(s, r)));
  }
  return job;
}

std::vector<std::string> notes(const Plan& plan) {
  std::vector<std::string> all;
  if (plan.recording.ready.estimated) all.push_back("ready times of buckets: " + plan.recording.ready.source);
  if (on_cpu(plan) && replay::changed(plan.recording.config, plan.changes).sharding == "optimizer")
    all.push_back(
        "comm.sharding = \"optimizer\" of CPU ranks: on one host they update a part each of what all see; on several, "
        "buckets are all-reduced as the trainer does it, and its broadcasts of parameters, one after another, are "
        "simulated as one all-gather, the least that they take");
  if (replay::changed(plan.recording.config, plan.changes).sharding == "full")
    all.push_back(
        "comm.sharding = \"full\": forward's time is shared out over the blocks by their multiply-adds, and is that of a "
        "step whose modulations are one product; one group of all ranks");
  if (plan.changes.stragglers && !plan.changes.spread && plan.recording.spread.persistent == 0 &&
      plan.recording.spread.per_step == 0)
    all.push_back(
        "no stragglers: no log has steady steps of several ranks that would tell their spread; --stragglers 0.02,0.01 "
        "assumes one");
  return all;
}

}  // namespace gpumonth::simulate
