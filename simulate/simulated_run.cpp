#include "simulate/simulated_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "model/communication.h"
#include "model/flops.h"
#include "runlog/summary.h"

namespace gpumonth::simulate {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Device, versions and configuration stay the recorded run's, but for how gradients travel.
runlog::RunInfo info_of(const Plan& plan, const Job& job, const std::string& cluster_words) {
  runlog::RunInfo info = plan.recording.info;
  const std::string changes = replay::to_text(plan.changes);
  info.origin = runlog::Origin::simulated;
  info.source_run = fmt::format("{}", fmt::join(plan.recording.paths, ", "));
  info.source_changes =
      fmt::format("{}{}{} ranks on {}; ready times of buckets {}", changes, changes.empty() ? "" : "; ",
                  job.shape.ranks(), cluster_words, plan.recording.ready.estimated ? "estimated" : "measured");
  info.config_toml = replay::with_communication(info.config_toml, replay::changed(plan.recording.config, plan.changes));
  info.world_size = job.shape.ranks();
  info.sequence_ranks = job.sequence ? job.sequence->ranks : 1;
  info.sequence_share = 1;
  info.global_batch = job.batch_per_rank * (job.shape.ranks() / info.sequence_ranks);
  info.transport = "simulated";
  info.library_versions["simulator"] = simulator_name();
  info.hostnames.clear();
  for (int r = 0; r < job.shape.ranks(); ++r)
    info.hostnames.push_back(fmt::format("host-{}", r / job.shape.gpus_per_host));
  info.power_source.clear();
  info.small_batch = 0;
  info.gathers_weights = job.full && job.shape.ranks() > 1;
  info.resumed_from.clear();
  return info;
}

/// As the trainer counts them: the norm's sum to the update, gathered parameters to communication that nothing hides. With
/// full sharding forward and backward are without what they waited for weights, which is exposed communication, too.
runlog::StepRecord record_of(const WorkStep& work, double factor, double norm_s, const SimulatedStep& seen) {
  runlog::StepRecord r;
  r.start_time_s = seen.begin_s;
  r.step_time_s = seen.end_s - seen.begin_s;
  r.data_s = factor * work.data_s;
  r.forward_s = factor * work.forward_s + seen.exchanged_forward_s;
  r.backward_s = factor * work.backward_s + seen.exchanged_backward_s;
  r.optimizer_s = norm_s + factor * work.optimizer_s;
  const double agreement_s = seen.agreed_s - seen.update_end_s;  // behind the parameters, where they are gathered
  r.exposed_comm_s = seen.buckets_end_s - seen.backward_end_s + seen.gathers_waited_s + agreement_s;
  r.comm_s = seen.reduces_s + seen.gathers_s + agreement_s;
  r.loss = r.grad_norm = kUnknown;
  r.phase = runlog::Phase::steady;
  return r;
}

/// As the trainer counts them in the columns of full sharding.
void add_gathers(const model::ModelConfig& model, const Job& job, const SimulatedStep& seen, runlog::StepRecord& r) {
  const FullSharding& full = *job.full;
  const model::GatheredBlocks blocks = model::gathered_in_step(model, job.micro_batches);
  const auto whole = [](const FullSharding::Unit& unit) { return unit.gathered_bytes + unit.broadcast_bytes; };
  const auto to_others = [](int ranks) { return 1 - 1.0 / ranks; };
  r.gather_s = seen.gathers_s;
  r.exposed_gather_s = seen.gathers_waited_s;
  r.gathered_bytes = to_others(full.ranks) *
                     (whole(full.outer) + static_cast<double>(blocks.forward + blocks.backward) * whole(full.block));
  const auto gradients =
      static_cast<double>(std::accumulate(job.bucket_bytes.begin(), job.bucket_bytes.end(), std::int64_t{0}));
  r.reduced_bytes = job.micro_batches * to_others(full.ranks) * gradients +
                    2 * to_others(job.shape.ranks() / full.ranks) *
                        std::accumulate(full.replica_bytes.begin(), full.replica_bytes.end(), 0.0);
}

/// In the columns of ranks that share samples.
void add_exchanges(const Job& job, const SimulatedStep& seen, runlog::StepRecord& r) {
  r.exchange_s = seen.exchanged_forward_s + seen.exchanged_backward_s;
  int tensors = 0;
  for (const auto* pass : {&job.passes.forward, &job.passes.backward})
    for (const replay::PassEvent& event : *pass)
      tensors += event.kind == replay::PassEvent::Kind::exchange ? event.index : 0;
  const double to_others = 1 - 1.0 / job.sequence->ranks;
  r.exchanged_bytes = std::llround(job.micro_batches * tensors * to_others * job.sequence->tensor_bytes);
}

void add_step(runlog::Run& run, const Job& job, std::size_t s, const SimulatedStep& seen,
              const replay::RecordedConfig& config) {
  const auto ranks = static_cast<std::size_t>(job.shape.ranks());
  const float* factors = &job.factors[s * ranks];
  const WorkStep& work = job.steps[s];
  const double norm_s = ranks == 1 ? 0 : job.full ? job.full->norm_s : job.sharding ? job.sharding->norm_s : 0;
  runlog::StepRecord r = record_of(work, factors[0], norm_s, seen);
  r.step = static_cast<std::int64_t>(s) + 1;
  r.samples = run.info.global_batch;
  const model::StepWork counted =
      model::step_work(config.model, r.samples, model::recompute_named(config.recompute), config.more_forwards());
  r.tokens = counted.tokens;
  r.model_flops = counted.model_flops;
  r.hardware_flops = counted.hardware_flops;
  if (run.info.gathers_weights) add_gathers(config.model, job, seen, r);
  if (job.sequence) add_exchanges(job, seen, r);
  run.steps.push_back(r);
  for (std::size_t b = 0; b < seen.buckets.size(); ++b) {
    const auto& bucket = seen.buckets[b];
    run.buckets.push_back({r.step, static_cast<int>(b), job.bucket_bytes[b], bucket.ready_s - seen.begin_s,
                           bucket.start_s - seen.begin_s, bucket.end_s - seen.begin_s});
  }
  const double busy_s = work.data_s + work.forward_s + work.backward_s + work.optimizer_s;
  run.rank_steps.push_back(r.step);
  for (std::size_t rank = 0; rank < ranks; ++rank)
    run.rank_step_time_s.push_back(static_cast<float>(norm_s + busy_s * static_cast<double>(factors[rank])));
}

/// Mean of a step on one rank that waits for nobody, s.
double alone_s(const Job& job) {
  double sum_s = 0;
  for (const WorkStep& w : job.steps) sum_s += w.data_s + w.forward_s + w.backward_s + w.optimizer_s + w.other_s;
  return sum_s / static_cast<double>(job.steps.size());
}

}  // namespace

SimulatedRun simulate_run(const Plan& plan, const Cluster& cluster, const std::string& cluster_words, int ranks) {
  const Job job = make_job(plan, cluster, ranks);
  const Outcome outcome = simulate(job);
  SimulatedRun result;
  result.run.info = info_of(plan, job, cluster_words);
  for (std::size_t s = 0; s < job.steps.size(); ++s)
    add_step(result.run, job, s, outcome.steps[s], plan.recording.config);
  const runlog::Summary summary = runlog::summarize(result.run);
  result.hosts = job.shape.hosts;
  result.step_s = summary.mean.step_time_s;
  result.exposed_s = summary.mean.exposed_comm_s;
  result.comm_s = summary.mean.comm_s;
  for (const runlog::StepRecord& step : result.run.steps)
    result.exchange_s += step.exchange_s / static_cast<double>(result.run.steps.size());
  result.samples_per_s = summary.samples_per_s;
  result.efficiency = alone_s(job) / result.step_s;
  result.wall_s = outcome.wall_s;
  result.peak_bytes = outcome.peak_bytes;
  return result;
}

}  // namespace gpumonth::simulate
