#include "trainer/replay/replay_run.h"

#include <filesystem>

#include "base/error.h"
#include "runlog/reader.h"

namespace gpumonth::trainer {
namespace {

replay::Recording recording_of(const std::vector<std::string>& files) {
  std::vector<runlog::Run> logs;
  for (const std::string& file : files) logs.push_back(runlog::read(file, runlog::Kind::shares_too));
  return replay::record(logs);
}

/// That so many ranks can be laid out so.
void require_ranks(const replay::RecordedConfig& config, int ranks) {
  const auto require_divisor = [&](int of, const char* option) {
    if (of > 0 && ranks % of != 0)
      user_error("{} {}, given or as recorded, does not divide {} rank{}: start a multiple of {}, or give another",
                 option, of, ranks, ranks == 1 ? "" : "s", of);
  };
  require_divisor(config.sequence_parallel, "--sequence-parallel");
  if (ranks > 1) require_divisor(config.shard_group, "--shard-group");  // one holds all
}

RunConfig replay_config(const ReplayOptions& options, const replay::Recording& recording, const ReplayedStep& step,
                        const comm::Transport& transport) {
  const replay::RecordedConfig changed = replay::changed(recording.config, options.changes);
  RunConfig c;
  c.model = recording.config.model;
  c.run.directory = options.directory;
  c.run.name = recording.config.name;
  c.run.steps = options.steps;
  c.run.seed = options.seed;
  c.run.backend = transport.gpu() >= 0 ? "cuda" : "cpu";  // where the ranks of the replay run
  c.run.dtype = recording.info.dtype;
  c.run.threads = 1;
  c.run.recompute = recording.config.recompute;
  c.run.sequence_parallel = changed.sequence_parallel;
  c.objective.kind = recording.config.objective;
  c.objective.guidance = recording.config.guidance;
  c.batch.global = step.batch_per_rank() * (transport.ranks().size() / changed.sequence_parallel);
  c.batch.accumulate = changed.accumulate;
  c.comm.transport = transport.name();
  c.comm.bucket_mib = changed.bucket_mib * options.changes.byte_scale;
  if (transport.gpu() >= 0) c.comm.wire = changed.wire;  // elsewhere stand_in() has it
  c.comm.sharding = changed.sharding;
  if (transport.ranks().size() > 1) c.comm.shard_group = changed.shard_group;
  c.log.measure_gemm_peak = false;
  c.checkpoint.at_end = false;
  return c;
}

void require_new_log(const std::string& directory) {
  const auto file = std::filesystem::path(directory) / "run.h5";
  if (std::filesystem::exists(file))
    user_error("{} exists: choose another folder with --directory, or remove it", file.string());
}

}  // namespace

ReplayResult replay_run(const ReplayOptions& options, comm::Transport& transport) {
  const replay::Recording recording = recording_of(options.logs);
  replay::require_layout(recording, options.changes);
  require_ranks(replay::changed(recording.config, options.changes), transport.ranks().size());
  const auto step =
      make_replayed_step({recording, options.changes, options.seed, options.adds, options.compute}, transport);
  const RunConfig config = replay_config(options, recording, *step, transport);
  ResolvedRun resolved = resolve(config, transport);
  resolved.gpu.clear();  // the power of a GPU that waits is not that of the recorded one
  if (transport.ranks().rank() == 0) require_new_log(resolved.directory);
  ReplayResult result;
  result.ready_source = recording.ready.source;
  result.spread = replay::spread_of(options.changes, recording.spread);
  result.run = train(config, resolved, transport, *step);
  result.lateness = step->lateness(config.log.steady_after);
  if (result.lateness.share <= options.most_late) return result;
  if (transport.ranks().rank() == 0) std::filesystem::remove(result.run.run_log);
  user_error(
      "sleeps ended {:.3f} ms a step late, {:.1f} % of it, on the latest rank: above {:.0f} % it is no replay, and its log "
      "was removed. Use {}, or a log of longer steps",
      1e3 * result.lateness.late_s, 1e2 * result.lateness.share, 1e2 * options.most_late,
      transport.gpu() >= 0 ? "GPUs on which nothing else runs"
                           : "fewer ranks on a machine, one on which nothing else runs, --reduce none");
}

}  // namespace gpumonth::trainer
