#include "replay/recording.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "model/communication.h"
#include "model/gradient_segments.h"

namespace gpumonth::replay {
namespace {

/// Forward's part of the all-to-alls of ranks that share samples, by bytes.
double exchanged_in_forward(const RecordedConfig& c) {
  const auto [forward, again, gradients] = model::exchanged_in_pass(c.model, model::recompute_named(c.recompute));
  return static_cast<double>(forward) / static_cast<double>(forward + again + gradients);
}

/// `in_forward`: the share of the all-to-alls that forward has.
StepTimes times_of(const runlog::StepRecord& s, double in_forward) {
  const double claimed_s = s.data_s + s.forward_s + s.backward_s + s.optimizer_s + s.exposed_comm_s;
  return {s.data_s, std::max(0.0, s.forward_s - in_forward * s.exchange_s),
          std::max(0.0, s.backward_s - (1 - in_forward) * s.exchange_s), s.optimizer_s,
          std::max(0.0, s.step_time_s - claimed_s)};
}

RecordedSteps recorded_steps(const runlog::Run& run, const runlog::BusySums& busy) {
  RecordedSteps all;
  const double in_forward = exchanged_in_forward(recorded_config(run));
  double samples = 0;
  for (const runlog::StepRecord& s : run.steady()) {
    all.steps.push_back(times_of(s, in_forward));
    samples += static_cast<double>(s.samples);
  }
  if (all.steps.empty())
    user_error("{}: has no steady steps to replay: record more than log.steady_after steps", run.path);
  const auto n = static_cast<double>(all.steps.size());
  for (const StepTimes& s : all.steps)
    for (const auto part : {&StepTimes::data_s, &StepTimes::forward_s, &StepTimes::backward_s, &StepTimes::optimizer_s,
                            &StepTimes::other_s})
      all.mean.*part += s.*part / n;
  if (!(all.mean.backward_s > 0))
    user_error(
        "{}: says no time of backward (backward_s is 0), so when gradients are ready is not known: replay a log "
        "of gpumonth train",
        run.path);
  all.batch_per_rank = samples / n / run.info.world_size * run.info.sequence_ranks;
  double ranks_mean_s = 0;
  for (const double s : busy.mean_s) ranks_mean_s += s / static_cast<double>(busy.mean_s.size());
  if (busy.rows > 0 && ranks_mean_s > 0) all.rank0 = busy.mean_s.front() / ranks_mean_s;
  return all;
}

/// What the logs of one recording agree in.
std::map<std::string, std::string> facts(const runlog::Run& run) {
  const runlog::RunInfo& i = run.info;
  RecordedConfig c = recorded_config(run);
  config::Table root;
  model::declare(root.table("model"), c.model);
  std::map<std::string, std::string> said = config::values(root);
  said.erase("model.from");
  said["run.recompute"] = c.recompute;
  said["batch.accumulate"] = std::to_string(c.accumulate);
  said["run.sequence_parallel"] = std::to_string(c.sequence_parallel);
  if (c.sharding == "full")
    said["comm.shard_group"] = std::to_string(c.shard_ranks(i.world_size));
  else
    said["comm.shard_group"] = "without full sharding";
  said["dtype"] = i.dtype;
  said["backend"] = i.backend;
  said["device_name"] = i.device_name;
  said["threads_per_rank"] = std::to_string(i.threads_per_rank);
  return said;
}

void require_alike(const runlog::Run& first, const runlog::Run& other) {
  const auto wanted = facts(first), found = facts(other);
  for (const auto& [what, value] : wanted)
    if (found.at(what) != value)
      user_error("{} and {} are no recording of one run: {} is {} and {}; replay them apart", first.path, other.path,
                 what, value, found.at(what));
}

}  // namespace

Recording record(const std::vector<runlog::Run>& logs) {
  if (logs.empty()) user_error("no log to replay: give a run log of gpumonth train");
  Recording recording;
  recording.info = logs.front().info;
  recording.config = recorded_config(logs.front());
  recording.segments = model::gradient_segments(recording.config.model, model::ParameterTable(recording.config.model));
  runlog::BusySpread squares;
  for (const runlog::Run& run : logs) {
    if (run.info.origin == runlog::Origin::simulated)
      user_error("{}: is simulated: replay the log that it was simulated from, {}", run.path, run.info.source_run);
    require_alike(logs.front(), run);
    const runlog::BusySums busy = runlog::busy_sums(run);
    squares.add(busy);
    recording.logs.push_back(recorded_steps(run, busy));
    recording.paths.push_back(run.path);
  }
  recording.ready = ready_times(logs, recording.segments);
  recording.spread = spread(squares);
  return recording;
}

}  // namespace gpumonth::replay
