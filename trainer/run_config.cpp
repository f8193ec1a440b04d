#include "trainer/run_config.h"

#include <fmt/chrono.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ctime>
#include <map>

#include "base/error.h"
#include "comm/transport.h"
#include "trainer/run_validation.h"

namespace gpumonth::trainer {

void declare(config::Table& root, RunConfig& c) {
  model::declare(root.table("model"), c.model);

  config::Table& run = root.table("run");
  run.field("directory", c.run.directory,
            {.help = "folder of run.h5 and checkpoints; {name}, {ranks} and {time} are filled in"});
  run.field("name", c.run.name, {.help = "what this run is called in reports"});
  run.field("steps", c.run.steps,
            {.unit = "steps", .min = 1, .max = 2147483647, .help = "optimizer steps in total, resumed ones included"});
  run.field("seed", c.run.seed, {.help = "of weights, noise, timesteps, label dropout and data order"});
  run.field("backend", c.run.backend,
            {.one_of = {"auto", "cpu", "cuda"},
             .also_called = {{"gpu", "cuda"}, {"nvidia", "cuda"}, {"x86", "cpu"}},
             .help = "where the model runs; auto: a GPU where there is one"});
  run.field("dtype", c.run.dtype,
            {.one_of = {"auto", "fp32", "bf16"},
             .also_called = {{"float32", "fp32"},
                             {"float", "fp32"},
                             {"single", "fp32"},
                             {"f32", "fp32"},
                             {"tf32", "fp32"},
                             {"bfloat16", "bf16"},
                             {"float16", "bf16"},
                             {"fp16", "bf16"},
                             {"half", "bf16"},
                             {"mixed", "bf16"}},
             .help = "compute type; masters are fp32; auto: bf16 where hardware has it"});
  run.field("threads", c.run.threads,
            {.unit = "threads", .min = 0, .max = 4096, .help = "per rank; 0: this host's cores / ranks on it"});
  run.field(
      "recompute", c.run.recompute,
      {.one_of = {"none", "linear", "full"},
       .also_called = {{"on", "full"}, {"off", "none"}, {"selective", "linear"}, {"checkpointing", "full"}},
       .same_as = {{"true", "full"}, {"false", "none"}},
       .help = "what of the blocks backward computes again instead of keeping it: linear: all but attention, whose "
               "output is kept; full: all, less memory and up to a third more work"});
  run.field(
      "sequence_parallel", c.run.sequence_parallel,
      {.unit = "ranks",
       .min = 1,
       .max = 4096,
       .help = "consecutive ranks that share each sample's tokens (Ulysses): attention's heads are divided by them, "
               "all else by T / this; divides ranks and heads"});
  run.field("sequence_parallel_emulated", c.run.sequence_parallel_emulated,
            {.unit = "ranks",
             .min = 1,
             .max = 4096,
             .help = "measure one of so many ranks that share samples, alone and without communication: its times are "
                     "right, its losses mean nothing, no checkpoints"});
  run.field(
      "deterministic", c.run.deterministic,
      {.help =
           "on a GPU: the same bits in every run and after a resume, by slower kernels; on CPU ranks it is always so"});
  run.field("resume", c.run.resume, {.help = "checkpoint to go on from"});
  run.field("progress_s", c.run.progress_s,
            {.unit = "s", .min = 0.1, .help = "between progress lines where there is no terminal"});

  config::Table& batch = root.table("batch");
  batch.field("global", c.batch.global,
              {.unit = "samples", .min = 1, .max = 1 << 24, .help = "per step over all ranks"});
  batch.field("accumulate", c.batch.accumulate,
              {.unit = "micro-batches",
               .min = 1,
               .max = 1 << 24,
               .help = "in which each rank's part goes through the network: activations of one are held, gradients are "
                       "summed, the update is that of the global batch"});
  config::Table& data = root.table("data");
  data.field("path", c.data.path, {.help = "HDF5 file with /latents and /labels; empty: procedural moving shapes"});
  data.field(
      "flip", c.data.flip,
      {.help = "mirror each sample left to right with probability 1/2; of a VAE's latents not exactly what flipped "
               "pictures give"});

  config::Table& objective = root.table("objective");
  objective.field("kind", c.objective.kind,
                  {.one_of = {"diffusion", "consistency"},
                   .also_called = {{"distillation", "consistency"}, {"lcm", "consistency"}, {"ddpm", "diffusion"}},
                   .help = "what the network learns; consistency: a teacher's samples in few steps"});
  objective.field(
      "teacher", c.objective.teacher,
      {.help = "consistency: checkpoint of the same model; its EMA weights teach, and training begins with them"});
  objective.field(
      "guidance", c.objective.guidance,
      {.min = 0, .max = 1e4, .help = "consistency: of the teacher, distilled in; as sample --guidance; 1: none"});
  objective.field(
      "skip", c.objective.skip,
      {.unit = "timesteps", .min = 1, .max = 999, .help = "consistency: that the teacher's step goes down"});
  objective.field("metric", c.objective.metric,
                  {.one_of = {"pseudo_huber", "l2"},
                   .also_called = {{"huber", "pseudo_huber"}, {"mse", "l2"}, {"squared", "l2"}},
                   .help = "consistency: how the distance from the target is measured"});

  config::Table& optimizer = root.table("optimizer");
  optimizer.field("learning_rate", c.optimizer.learning_rate,
                  {.min = 0, .max = 1e3, .help = "AdamW step size after warm-up"});
  optimizer.field("beta1", c.optimizer.beta1, {.min = 0, .max = 0.999999, .help = "decay of the gradient's mean"});
  optimizer.field("beta2", c.optimizer.beta2, {.min = 0, .max = 0.9999999, .help = "decay of the gradient's square"});
  optimizer.field("epsilon", c.optimizer.epsilon, {.min = 1e-30, .max = 1, .help = "added to the root of the square"});
  optimizer.field("weight_decay", c.optimizer.weight_decay,
                  {.min = 0, .max = 1, .help = "decoupled, times the learning rate"});
  optimizer.field("clip_norm", c.optimizer.clip_norm,
                  {.min = 0, .help = "largest L2 norm of the gradient; 0: no clipping"});
  optimizer.field("ema_decay", c.optimizer.ema_decay,
                  {.min = 0, .max = 1, .help = "of the moving average of the weights"});
  optimizer.field("warmup_steps", c.optimizer.warmup_steps,
                  {.unit = "steps", .min = 0, .help = "linear rise of the learning rate from 0"});
  optimizer.field("schedule", c.optimizer.schedule,
                  {.one_of = {"constant", "cosine", "wsd"},
                   .also_called = {{"none", "constant"},
                                   {"fixed", "constant"},
                                   {"cosine_decay", "cosine"},
                                   {"warmup_stable_decay", "wsd"},
                                   {"trapezoidal", "wsd"}},
                   .help = "of the learning rate behind the warm-up: cosine falls to the last step, wsd over the last "
                           "decay_steps (by 1 - sqrt), both to final_ratio times the rate"});
  optimizer.field("final_ratio", c.optimizer.final_ratio,
                  {.min = 0, .max = 1, .help = "cosine, wsd: learning rate of the last step over learning_rate"});
  optimizer.field(
      "decay_steps", c.optimizer.decay_steps,
      {.unit = "steps", .min = 0, .help = "wsd: the last steps of the run, in which the learning rate falls"});

  config::Table& comm = root.table("comm");
  comm.field("transport", c.comm.transport,
             {.one_of = comm::transport_names(),
              .also_called = {{"none", "self"}, {"gloo", "mpi"}, {"openmpi", "mpi"}, {"gpu", "nccl"}, {"cuda", "nccl"}},
              .help = "what gradients travel over"});
  comm.field("bucket_mib", c.comm.bucket_mib,
             {.unit = "MiB", .min = 0.001, .max = 16384, .help = "size of a gradient bucket"});
  comm.field(
      "wire", c.comm.wire,
      {.one_of = {"fp32", "bf16"},
       .help =
           "type of gradients on their way between GPUs (reduce_dtype in PyTorch); bf16, nccl only: half the bytes, sums "
           "rounded on the way"});
  comm.field(
      "sharding", c.comm.sharding,
      {.one_of = {"none", "optimizer", "full"},
       .also_called = {{"zero", "optimizer"},
                       {"zero1", "optimizer"},
                       {"zero-1", "optimizer"},
                       {"zero3", "full"},
                       {"zero-3", "full"},
                       {"fsdp", "full"},
                       {"off", "none"},
                       {"false", "none"}},
       .help =
           "optimizer (ZeRO-1): every rank updates its share of the parameters, then all gather them; full (ZeRO-3, "
           "FSDP): every rank holds its share of parameters, gradients and optimizer state alone, and weights are "
           "gathered block by block as they are needed"});
  comm.field("shard_group", c.comm.shard_group,
             {.unit = "ranks",
              .min = 0,
              .max = 1 << 20,
              .help = "sharding = full: as many consecutive ranks hold the parameters together, and groups of them are "
                      "replicas; 0: all ranks"});
  comm.field("allow_shared_gpu", c.comm.allow_shared_gpu,
             {.help = "two nccl ranks may use one GPU, over sockets: for tests, slow"});
  comm.field("watchdog_s", c.comm.watchdog_s,
             {.unit = "s", .min = 0, .help = "longest time one collective may take; 0: no limit"});

  config::Table& log = root.table("log");
  log.field("steady_after", c.log.steady_after,
            {.unit = "steps", .min = 0, .help = "first steps of a process, marked warm-up"});
  log.field("bucket_every", c.log.bucket_every, {.unit = "steps", .min = 1, .help = "between logged bucket timelines"});
  log.field("measure_gemm_peak", c.log.measure_gemm_peak,
            {.help = "measure the matrix product rate at start (about 1 s)"});
  log.field("noise_scale", c.log.noise_scale,
            {.help = "log the norms of the ranks' and micro-batches' own gradients, where there are two or more: with "
                     "the norm of their sum they give the gradient noise scale, the critical batch; a pass over the "
                     "gradient"});

  config::Table& checkpoint = root.table("checkpoint");
  checkpoint.field("every_steps", c.checkpoint.every_steps,
                   {.unit = "steps", .min = 0, .help = "0: only at the end and on a signal"});
  checkpoint.field("at_end", c.checkpoint.at_end, {.help = "write one after the last step"});
  checkpoint.field("keep", c.checkpoint.keep, {.unit = "files", .min = 1, .help = "older ones are removed"});
}

namespace {

/// `text` with every {name} replaced by its value, in one pass.
std::string filled_in(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string out;
  for (std::size_t begin = 0;;) {
    const std::size_t open = text.find('{', begin), close = text.find('}', open);
    out += text.substr(begin, open - begin);
    if (open == std::string::npos) return out;
    const std::string name = text.substr(open + 1, close == std::string::npos ? close : close - open - 1);
    const auto value = values.find(name);
    if (value == values.end() || close == std::string::npos) {
      std::vector<std::string> known;
      for (const auto& [key, unused] : values) known.push_back(key);
      const std::string near = config::nearest(name, known);
      user_error("run.directory = {}: '{}' is not filled in{}: known are {{{}}}", text,
                 text.substr(open, close - open + 1), near.empty() ? "" : fmt::format(" (did you mean {{{}}}?)", near),
                 fmt::join(known, "}, {"));
    }
    out += value->second;
    begin = close + 1;
  }
}

}  // namespace

RunConfig parse_run(const std::string& config_toml, const std::string& where) {
  RunConfig run;
  config::Table root;
  declare(root, run);
  config::load_text(root, config_toml, where);
  return run;
}

model::StepWork step_work(const RunConfig& c) {
  model::StepWork work =
      model::step_work(c.model, c.batch.global, model::recompute_named(c.run.recompute), c.objective.more_forwards());
  const int share = c.run.sequence_parallel_emulated;
  work.tokens /= share;
  work.model_flops /= share;
  work.hardware_flops /= share;
  return work;
}

std::int64_t local_batch(const RunConfig& c, int ranks) { return c.batch.global / (ranks / c.run.sequence_parallel); }

model::TrainingLayout training_layout(const RunConfig& c, int ranks, int ranks_per_host, bool gpu) {
  return {.ranks = ranks,
          .sharding = model::sharding_named(c.comm.sharding),
          .shard_group = c.comm.shard_group,
          .sequence_ranks = std::max(c.run.sequence_parallel, c.run.sequence_parallel_emulated),
          .gpu = gpu,
          .ranks_per_host = ranks_per_host,
          .recompute = model::recompute_named(c.run.recompute),
          .accumulate = c.batch.accumulate,
          .wire = model::dtype_named(c.comm.wire)};
}

std::string resolved_directory(const RunConfig& c, int ranks) {
  const std::string time = fmt::format("{:%Y%m%d-%H%M%S}", fmt::gmtime(std::time(nullptr)));
  return filled_in(c.run.directory, {{"name", c.run.name}, {"ranks", std::to_string(ranks)}, {"time", time}});
}

RunConfig load_run(const std::filesystem::path& file, const std::vector<std::string>& overrides, int world_size) {
  RunConfig c;
  config::Table root;
  declare(root, c);
  config::load(root, file, overrides);
  validate(c, world_size);
  return c;
}

}  // namespace gpumonth::trainer
