// What one training run says about itself: the contract between trainer (writes) and budget (reads).
// docs/runlog.md lists every dataset; runlog/schema.h is the only code that knows their names.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <string>
#include <vector>

namespace gpumonth::runlog {

constexpr int kSchemaVersion = 1;

enum class Phase : std::uint8_t { warm_up = 0, steady = 1, checkpoint = 2 };

/// One optimizer step as rank 0 saw it; times in seconds, work counted over all ranks.
struct StepRecord {
  std::int64_t step = 0;      ///< 1 is the first; continues over a resume
  double start_time_s = 0;    ///< since RunInfo::start_time_unix_s
  double step_time_s = 0;     ///< wall time from the end of the previous step to the end of this one
  double data_s = 0;          ///< waiting for the batch
  double forward_s = 0;       ///< forward and loss
  double backward_s = 0;      ///< backward compute, without exposed_comm_s
  double comm_s = 0;          ///< the communication thread inside all-reduces
  double exposed_comm_s = 0;  ///< what the step waited for communication
  double optimizer_s = 0;     ///< clip, AdamW, EMA, weight packing
  std::int64_t samples = 0;   ///< global batch
  std::int64_t tokens = 0;    ///< samples x T
  double model_flops = 0;     ///< forward + backward = 3 x forward, no recompute, all ranks
  double hardware_flops = 0;  ///< model_flops + recompute
  double loss = 0;            ///< mean over the global batch
  double grad_norm = 0;       ///< L2, before clipping
  double learning_rate = 0;
  /// Root mean square over the step's small gradients, each the mean over RunInfo::small_batch samples, of their L2 norms;
  /// in the log only where small_batch is above 0.
  double small_grad_norm = std::numeric_limits<double>::quiet_NaN();
  /// Of rank 0, inside forward_s and backward_s: in all-to-alls between ranks that share samples, which nothing overlaps, and
  /// what it sent to the others; in the log only where RunInfo::sequence_ranks is above 1.
  double exchange_s = 0;
  std::int64_t exchanged_bytes = 0;
  // Of weights that are gathered as they are needed, in the log only where RunInfo::gathers_weights.
  double gather_s = std::numeric_limits<double>::quiet_NaN();  ///< of comm_s: inside the gathers
  double exposed_gather_s =
      std::numeric_limits<double>::quiet_NaN();                      ///< of exposed_comm_s: forward and backward waited
  double gathered_bytes = std::numeric_limits<double>::quiet_NaN();  ///< of weights, that rank 0 sent
  double reduced_bytes = std::numeric_limits<double>::quiet_NaN();   ///< of gradients, that rank 0 sent
  Phase phase = Phase::warm_up;  ///< checkpoint: this step's time contains writing one
  // Of rank 0's GPU, read when the step has been enqueued; in the log only where RunInfo::power_source says whence.
  double energy_j = std::numeric_limits<double>::quiet_NaN();  ///< since the same moment of the step before
  double power_w = std::numeric_limits<double>::quiet_NaN();
  double sm_clock_mhz = std::numeric_limits<double>::quiet_NaN();
  double temperature_c = std::numeric_limits<double>::quiet_NaN();
  double clock_limit = std::numeric_limits<double>::quiet_NaN();  ///< 0 nothing, 1 power, 2 heat, 3 both; since 11/2026
};

/// One gradient bucket on one sampled step, on rank 0; times in seconds since the step's start.
struct BucketRecord {
  std::int64_t step = 0;
  int bucket = 0;          ///< index in launch order
  std::int64_t bytes = 0;  ///< on the wire, per rank
  double ready_s = 0;      ///< the last gradient in it was finished
  double start_s = 0;      ///< the all-reduce began
  double end_s = 0;        ///< the all-reduce was done
};

/// One collective on one size, from `gpumonth comm`; times in seconds, of the slowest rank.
struct CommRecord {
  std::int64_t bytes =
      0;  ///< of one rank's fp32 values: all that it holds, a share of every rank where there are shares
  std::int64_t repeats = 0;  ///< timed, back to back, after a warm-up
  double mean_s = 0, median_s = 0;
  double p99_s = 0;  ///< 99th percentile, nearest rank
  int correct = 0;   ///< 1: every value on every rank was exact
};

/// A sweep over sizes. Empty: the log has none.
struct CommSweep {
  std::string operation = "all_reduce";  ///< "reduce_scatter", "all_gather", "all_to_all", ...
  std::string measured;  ///< what, over what, by which clock: "all-reduce of fp32, in place, back to back; ..."
  std::vector<CommRecord> rows;
};

/// Where a log's times come from; in this order, the one before is to be believed more.
enum class Origin : std::uint8_t {
  measured,   ///< a training run
  replayed,   ///< `gpumonth replay`: recorded compute, real communication
  simulated,  ///< `gpumonth simulate`: recorded compute, simulated communication
};
const char* name(Origin origin);  ///< "measured", "replayed", "simulated"

/// Of a log of `gpumonth sample`: its steps are denoising steps, forward alone.
struct SamplingInfo {
  std::string sampler;           ///< "ddpm", "ddim", "consistency"
  int steps = 1;                 ///< denoising steps of a sample
  double guidance = 1;           ///< 1: none; otherwise each sample goes through the network twice a step
  std::string checkpoint;        ///< path as it was given
  std::string checkpoint_crc32;  ///< of the file's bytes
};

/// The root attributes, known before the first step.
struct RunInfo {
  std::string gpumonth_version, git_commit;
  std::string config_toml;  ///< resolved
  std::string model_name;   ///< file stem of the model, "dit-s-2"
  int world_size = 1;
  int threads_per_rank = 1;
  std::int64_t global_batch = 0;
  std::int64_t parameters = 0;
  std::string backend;                                                 ///< "cpu" or "cuda"
  std::string transport;                                               ///< "self", "mpi", "nccl"
  std::string dtype;                                                   ///< "fp32" or "bf16": the compute type
  std::string device_name;                                             ///< "AMD EPYC 9654", "NVIDIA H100 80GB HBM3"
  double peak_flops_per_s = std::numeric_limits<double>::quiet_NaN();  ///< of one rank; NaN where unknown
  std::string peak_source;                                             ///< "datasheet: ...", "measured GEMM ..."
  double peak_sm_clock_mhz =
      std::numeric_limits<double>::quiet_NaN();  ///< at which the peak is reached; NaN: unknown, older logs lack it
  double gemm_peak_flops_per_s =
      std::numeric_limits<double>::quiet_NaN();         ///< measured at start on one rank; NaN where not measured
  std::map<std::string, std::string> library_versions;  ///< "Open MPI" -> "4.1.4", ...
  std::vector<std::string> hostnames;                   ///< by rank
  std::string start_time_utc;                           ///< ISO 8601
  double start_time_unix_s = 0;      ///< seconds since 1970 at start_time_s = 0: joins the log with other clocks
  std::string resumed_from;          ///< checkpoint path, empty for a fresh start
  std::int64_t small_batch = 0;      ///< samples of each of a step's small gradients; 0: no such column
  int sequence_ranks = 1;            ///< that share each sample's tokens; 1: none do, and there are no such columns
  int sequence_share = 1;            ///< above 1: no training, but one of so many ranks' share of each sample, alone
  bool gathers_weights = false;      ///< comm.sharding = "full" on several ranks: there are columns of it
  std::string power_source;          ///< what measures energy and power: "NVML, ..."; empty: nothing, no such columns
  Origin origin = Origin::measured;  ///< of a log that does not say so: measured
  std::string source_run;            ///< of a log that was not measured: the paths of the logs whose compute it is
  std::string source_changes;        ///< and what was changed: "compute x 0.5; bytes x 0.001"; empty: nothing
  std::optional<SamplingInfo> sampling;  ///< nothing: a log of training
};

/// How many hosts the ranks were on; 0 where the log names none.
inline int host_count(const RunInfo& info) {
  return static_cast<int>(std::set<std::string>(info.hostnames.begin(), info.hostnames.end()).size());
}

/// A run log in memory, as read.
struct Run {
  std::string path;
  int schema_version = 0;
  bool clean_close = false;  ///< the writer closed the log; false: still running, or killed
  RunInfo info;
  std::vector<StepRecord> steps;
  std::vector<BucketRecord> buckets;
  std::vector<float> rank_step_time_s;   ///< (sampled steps, world_size), row-major: every rank's own busy time, s
  std::vector<std::int64_t> rank_steps;  ///< the step of each of those rows
  CommSweep comm;                        ///< a collective by size, where it was measured

  /// The steps that count, in every command and by one rule: all whose phase is steady. A view into `steps`.
  auto steady() const {
    return steps | std::views::filter([](const StepRecord& s) { return s.phase == Phase::steady; });
  }
  /// The record of the step with this number; null where there is none. `steps` ascends, mostly by one.
  const StepRecord* find(std::int64_t step) const {
    if (steps.empty() || step < steps.front().step) return nullptr;
    const auto guess = static_cast<std::size_t>(step - steps.front().step);
    if (guess < steps.size() && steps[guess].step == step) return &steps[guess];
    const auto found = std::ranges::lower_bound(steps, step, {}, &StepRecord::step);
    return found != steps.end() && found->step == step ? &*found : nullptr;
  }
  bool is_steady(std::int64_t step) const {
    const StepRecord* found = find(step);
    return found != nullptr && found->phase == Phase::steady;
  }
};

}  // namespace gpumonth::runlog
