#include "simulate/job.h"

#include <fmt/format.h>

#include "base/bucket_plan.h"
#include "base/bucket_shares.h"
#include "base/error.h"
#include "model/gradient_segments.h"
#include "model/shard_units.h"
#include "replay/layout.h"
#include "replay/replayed_steps.h"
#include "simulate/all_reduce.h"
#include "simulate/groups.h"

namespace gpumonth::simulate {
namespace {

constexpr const char *kShardGroup = "--shard-group", *kSequenceParallel = "--sequence-parallel";
constexpr std::int64_t kNormBlock = 65536;  // values of a partial sum of the norm, trainer/ops/grad_norm.h

bool on_cpu(const Plan& plan) { return plan.recording.info.backend == "cpu"; }

constexpr std::int64_t norm_sums(std::int64_t values) { return (values + kNormBlock - 1) / kNormBlock; }

/// The gradients' norm from so many sums of the ranks' parts.
double norm_s(const Plan& plan, std::int64_t sums, const Cluster& cluster, const Shape& ranks) {
  const double bytes = sizeof(double) * plan.changes.byte_scale * static_cast<double>(sums);
  return all_reduce_s(choose_traffic(cluster, ranks, bytes), cluster, bytes);
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
  const std::int64_t cuts = std::ssize(plan.recording.segments) + std::ssize(buckets);
  sharding.norm_s = norm_s(plan, norm_sums(values) + 2 * cuts, job.cluster, job.shape);  // whole_store.h
  return sharding;
}

/// As comm/host/thread_shard_reducer.cpp sends it, and NCCL ranks: products' weights in the compute type, the others in fp32.
FullSharding full_of(const Plan& plan, const std::vector<Bucket>& buckets, double size, int sharers, const Job& job) {
  const model::ModelConfig& m = plan.recording.config.model;
  const model::SegmentOrder order{m.depth};
  const bool typed = replay::gathers_bf16(plan.recording);
  FullSharding full{.depth = m.depth, .ranks = sharers, .grouped = !on_cpu(plan)};
  for (int s = 0; s < order.count(); ++s) {
    const Segment& segment = buckets[static_cast<std::size_t>(s)].range;
    const auto rest = static_cast<double>(rest_of(segment, sharers).count);
    const double shared = static_cast<double>(segment.count) - rest;
    full.scattered_bytes.push_back(size * shared);
    if (sharers < job.shape.ranks())
      full.replica_bytes.push_back(sizeof(float) * plan.changes.byte_scale *
                                   static_cast<double>(share_of(segment, sharers)));
    if (order.layer(s) > 0) continue;  // blocks are alike
    const double weight_size = (typed && order.is_product(s) ? 2 : 4) * plan.changes.byte_scale;
    FullSharding::Unit& unit = order.is_block(s) ? full.block : full.outer;
    unit.gathered_bytes += weight_size * shared;
    unit.broadcast_bytes += weight_size * rest;
    unit.gathers += shared > 0;
    unit.broadcasts += rest > 0;
  }
  full.norm_s = norm_s(plan, norm_sums(model::largest_shard(m, sharers)), job.cluster,
                       consecutive(job.shape, sharers, kShardGroup).shape);
  return full;
}

/// As trainer/dit/split_attention.h sends it.
SharedSamples sequence_of(const Plan& plan, const replay::RecordedConfig& config, std::int64_t batch) {
  const auto bytes = static_cast<double>(replay::exchanged_bytes(plan.recording, config, batch));
  return {.ranks = config.sequence_parallel, .tensor_bytes = plan.changes.byte_scale * bytes};
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

void require_layout(const Plan& plan, const Cluster& cluster, int ranks) {
  const Shape shape = shape_of(cluster, ranks);
  replay::require_layout(plan.recording, plan.changes);
  const replay::RecordedConfig config = replay::changed(plan.recording.config, plan.changes);
  if (config.shard_group > 0) consecutive(shape, config.shard_group, kShardGroup);
  if (config.sequence_parallel > 1) consecutive(shape, config.sequence_parallel, kSequenceParallel);
}

Job make_job(const Plan& plan, const Cluster& cluster, int ranks) {
  require_layout(plan, cluster, ranks);
  Job job;
  job.cluster = cluster;
  job.shape = shape_of(cluster, ranks);
  const replay::RecordedConfig config = replay::changed(plan.recording.config, plan.changes);
  const int sharers = config.shard_ranks(ranks);
  const bool full = sharers > 1;
  const std::vector<Bucket> buckets = buckets_of(plan, config, full);
  const double size = (config.wire == "bf16" ? 2 : 4) * plan.changes.byte_scale;
  for (const Bucket& bucket : buckets)
    job.bucket_bytes.push_back(static_cast<std::int64_t>(size * static_cast<double>(bucket.range.count) + 0.5));
  job.micro_batches = config.accumulate;
  job.passes = replay::passes_of(plan.recording, config, buckets, full);
  const bool sharded = config.sharding == "optimizer" && ranks > 1;
  // CPU ranks of one host hold parameters and moments once: each updates its part where all see it
  if (sharded && !(on_cpu(plan) && job.shape.hosts == 1)) job.sharding = sharding_of(plan, buckets, size, job);
  if (full) job.full = full_of(plan, buckets, size, sharers, job);
  const double update_scale = replay::update_scale(plan.recording, config, ranks, job.shape.hosts == 1);
  const replay::ReplayedSteps steps(plan.recording, plan.changes, plan.seed);
  job.batch_per_rank = steps.batch_per_rank();
  if (config.sequence_parallel > 1) job.sequence = sequence_of(plan, config, job.batch_per_rank);
  job.factors.reserve(static_cast<std::size_t>(plan.steps) * static_cast<std::size_t>(ranks));
  for (int s = 1; s <= plan.steps; ++s) {
    const replay::StepTimes times = steps.drawn(s);
    job.steps.push_back(
        {times.data_s, times.forward_s, times.backward_s, times.optimizer_s * update_scale, times.other_s});
    for (int r = 0; r < ranks; ++r) job.factors.push_back(static_cast<float>(steps.factor(s, r)));
  }
  return job;
}

std::vector<std::string> notes(const Plan& plan) {
  std::vector<std::string> all;
  if (plan.recording.ready.estimated) all.push_back("ready times of buckets: " + plan.recording.ready.source);
  const replay::RecordedConfig config = replay::changed(plan.recording.config, plan.changes);
  if (on_cpu(plan) && config.sharding == "optimizer")
    all.push_back(
        "comm.sharding = \"optimizer\" of CPU ranks: on one host they update a part each of what all see; on several, "
        "buckets are all-reduced as the trainer does it, and its broadcasts of parameters, one after another, are "
        "simulated as one all-gather, the least that they take");
  if (on_cpu(plan) && config.sharding == "none")
    all.push_back(
        "CPU ranks of one host hold the state in common and update a part each, those of several hosts update all of it, as "
        "in training");
  if (config.sharding == "full")
    all.push_back(fmt::format(
        "comm.sharding = \"full\" in {}: forward's time is shared out over the blocks by their multiply-adds, and is that of a "
        "step whose modulations are one product",
        config.shard_group > 0 ? fmt::format("groups of {} ranks", config.shard_group) : "one group of all ranks"));
  if (plan.recording.config.sharding == "full")
    all.push_back(
        "recorded with comm.sharding = \"full\": its passes are taken without what they waited for weights; of CPU ranks they have what "
        "sending took of their cores");
  if (plan.recording.info.sequence_share > 1)
    all.push_back(
        fmt::format("recorded by one rank alone that worked as one of {} that share each sample, and sent nothing",
                    plan.recording.info.sequence_share));
  else if (plan.recording.config.sequence_parallel > 1)
    all.push_back(fmt::format(
        "recorded with run.sequence_parallel = {}: its passes are taken without their all-to-alls, divided over forward and "
        "backward by bytes",
        plan.recording.config.sequence_parallel));
  const replay::ShareOfSamples share = replay::share_of_samples(config, config.sequence_parallel);
  if (config.sequence_parallel != plan.recording.config.sequence_parallel)
    all.push_back(fmt::format(
        "run.sequence_parallel = {}: passes take the share of their multiply-adds that a rank has, {:.1f} % of a sample's forward and "
        "{:.1f} % of its backward, as if products of fewer tokens were as fast; samples a rank, {}, are those of its {} ranks together",
        config.sequence_parallel, 1e2 * share.forward, 1e2 * share.backward,
        replay::batch_per_rank(plan.recording, plan.changes), config.sequence_parallel));
  if (plan.changes.stragglers && !plan.changes.spread && plan.recording.spread.persistent == 0 &&
      plan.recording.spread.per_step == 0)
    all.push_back(
        "no stragglers: no log has steady steps of several ranks that would tell their spread; --stragglers 0.02,0.01 "
        "assumes one");
  return all;
}

}  // namespace gpumonth::simulate
