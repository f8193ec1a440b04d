// One training run, as read from configs/runs/*.toml and --set, and as logged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/config.h"
#include "model/config.h"
#include "model/flops.h"
#include "model/training_layout.h"

namespace gpumonth::trainer {

struct RunConfig {
  model::ModelConfig model;
  struct Run {
    std::string directory = "runs/{name}-{ranks}ranks";  ///< {name}, {ranks}, {time} are filled in
    std::string name = "run";
    std::int64_t steps = 100;
    std::uint64_t seed = 1;
    std::string backend = "auto";        ///< auto | cpu | cuda
    std::string dtype = "auto";          ///< auto | fp32 | bf16
    int threads = 0;                     ///< per rank; 0: the cores of this host / ranks on it
    std::string recompute = "none";      ///< none | linear | full: model/recompute.h
    int sequence_parallel = 1;           ///< consecutive ranks that share a sample's tokens (dit/sequence_part.h)
    int sequence_parallel_emulated = 1;  ///< one rank works as one of so many does, alone, for its times
    bool deterministic = false;          ///< GPU: the same bits again, also after a resume; CPU ranks always give them
    std::string resume = "";             ///< checkpoint to go on from
    double progress_s = 5;               ///< seconds between plain progress lines
  } run;
  struct Batch {
    std::int64_t global = 8;      ///< samples per step over all ranks
    std::int64_t accumulate = 1;  ///< micro-batches in which a rank's part goes through the network
  } batch;
  struct Data {
    std::string path = "";  ///< HDF5 latents; empty: procedural moving shapes
    bool flip = false;      ///< every second sample is mirrored, left to right
  } data;
  struct Objective {
    std::string kind = "diffusion";       ///< diffusion | consistency: distillation into few steps (dit/consistency.h)
    std::string teacher = "";             ///< checkpoint whose EMA weights teach, and are what the student begins with
    double guidance = 4;                  ///< of the teacher, as of `gpumonth sample`; 1: none
    int skip = 20;                        ///< timesteps that the teacher's step goes down
    std::string metric = "pseudo_huber";  ///< pseudo_huber | l2

    bool distils() const { return kind == "consistency"; }
    /// Passes of a step beside the trained network's own.
    int more_forwards() const { return distils() ? model::distillation_forwards(guidance) : 0; }
  } objective;
  struct Optimizer {
    double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0;
    double clip_norm = 1.0;  ///< 0: no clipping
    double ema_decay = 0.9999;
    std::int64_t warmup_steps = 0;
    std::string schedule = "constant";  ///< constant | cosine | wsd: behind the warm-up (learning_rate.h)
    double final_ratio = 0;             ///< of the rate in the last step to learning_rate
    std::int64_t decay_steps = 0;       ///< of wsd: the last steps, in which it falls
  } optimizer;
  struct Comm {
    std::string transport = "auto";  ///< auto | self | mpi | nccl
    double bucket_mib = 4;
    double watchdog_s = 300;
    std::string wire = "fp32";  ///< fp32 | bf16: what gradients are while they travel (comm/nccl/nccl_reducer.h)
    /// none | optimizer | full: who updates which parameters (comm/shard.h), and holds them (comm/sharded_storage.h)
    std::string sharding = "none";
    int shard_group = 0;  ///< full: consecutive ranks that hold the whole together; 0: all ranks
    bool allow_shared_gpu = false;
  } comm;
  struct Log {
    std::int64_t steady_after = 3;   ///< steps of warm-up left out of every average
    std::int64_t bucket_every = 10;  ///< steps between bucket timelines
    bool measure_gemm_peak = true;
    bool noise_scale = false;  ///< norms of ranks' and micro-batches' own gradients (docs/training.md)
  } log;
  struct Checkpoint {
    std::int64_t every_steps = 0;  ///< 0: only at the end and on a signal
    bool at_end = true;
    std::int64_t keep = 2;
  } checkpoint;
};

void declare(config::Table& root, RunConfig& run);
/// A resolved configuration, as logs and checkpoints carry it; not validated. UserError, which begins with `where`: an unknown
/// key or a value of another type.
RunConfig parse_run(const std::string& config_toml, const std::string& where);
/// What a step of such a training counts in its log; of one rank of several that is alone, that rank's share.
model::StepWork step_work(const RunConfig& config);
/// Samples that each of `ranks` ranks has, or has a part of, in a step.
std::int64_t local_batch(const RunConfig& config, int ranks);
/// How the training lies on its ranks, for its memory and what it sends.
model::TrainingLayout training_layout(const RunConfig& config, int ranks, int ranks_per_host, bool gpu);
/// run.directory with {name}, {ranks} and {time} (UTC, now) filled in. UserError: another {placeholder}.
std::string resolved_directory(const RunConfig& config, int ranks);
/// Reads and validates (run_validation.h). UserError otherwise.
RunConfig load_run(const std::filesystem::path& file, const std::vector<std::string>& overrides, int world_size);

}  // namespace gpumonth::trainer
