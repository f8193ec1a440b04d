#include "trainer/state/resume.h"

#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "trainer/learning_rate.h"
#include "trainer/run_config.h"

namespace gpumonth::trainer {
namespace {

using enum Difference;

constexpr const char* kNetwork = "so that it is the same network";
constexpr const char* kSamplesGoOn = "so that the samples go on";
constexpr const char* kMoments = "as the moments in it are averages with that decay";
constexpr const char* kUpdate = "the update is another one";
constexpr const char* kFall = "the learning rate falls otherwise";
constexpr const char* kTarget = "the target is another one from here on";
constexpr const char* kRounding = "results differ by rounding";

constexpr KeyRule kRules[] = {
    {"model.from", free, ""},  // where the other keys came from
    {"model.input_size", refused, kNetwork},
    {"model.patch_size", refused, kNetwork},
    {"model.in_channels", refused, kNetwork},
    {"model.hidden_size", refused, kNetwork},
    {"model.depth", refused, kNetwork},
    {"model.num_heads", refused, kNetwork},
    {"model.mlp_ratio", refused, kNetwork},
    {"model.class_dropout_prob", said, "other labels are dropped"},
    {"model.num_classes", refused, kNetwork},
    {"model.learn_sigma", refused, kNetwork},
    {"model.frames", refused, kNetwork},
    {"model.temporal_patch_size", refused, kNetwork},
    {"run.directory", free, ""},
    {"run.name", free, ""},
    {"run.steps", free, ""},  // where the learning rate falls towards it, below
    {"run.seed", refused, kSamplesGoOn},
    {"run.backend", said, kRounding},
    {"run.dtype", said, kRounding},
    {"run.threads", free, ""},
    {"run.recompute", free, ""},
    {"run.sequence_parallel", said, kRounding},
    {"run.sequence_parallel_emulated", free, ""},  // writes none and reads none
    {"run.deterministic", free, ""},
    {"run.resume", free, ""},
    {"run.progress_s", free, ""},
    {"batch.global", said, ""},  // with numbers, below
    {"batch.accumulate", said, kRounding},
    {"data.path", free, ""},  // by the dataset's identity, below
    {"data.flip", said, "from here on samples are mirrored otherwise"},
    {"objective.kind", refused, "so that it goes on learning the same"},
    {"objective.teacher", said, "unless it is the same file, the target is another one from here on"},
    {"objective.guidance", said, kTarget},
    {"objective.skip", said, kTarget},
    {"objective.metric", said, "the loss is another one"},
    {"optimizer.learning_rate", said, kUpdate},
    {"optimizer.beta1", refused, kMoments},
    {"optimizer.beta2", refused, kMoments},
    {"optimizer.epsilon", said, kUpdate},
    {"optimizer.weight_decay", said, kUpdate},
    {"optimizer.clip_norm", said, kUpdate},
    {"optimizer.ema_decay", said, "the EMA is another average from here on"},
    {"optimizer.warmup_steps", said, "the learning rate of steps below it is another"},
    {"optimizer.schedule", said, kFall},
    {"optimizer.final_ratio", said, kFall},
    {"optimizer.decay_steps", said, kFall},
    {"comm.transport", free, ""},
    {"comm.bucket_mib", free, ""},
    {"comm.wire", said, kRounding},
    {"comm.sharding", free, ""},
    {"comm.shard_group", free, ""},
    {"comm.allow_shared_gpu", free, ""},
    {"comm.watchdog_s", free, ""},
    {"log.steady_after", free, ""},
    {"log.bucket_every", free, ""},
    {"log.measure_gemm_peak", free, ""},
    {"log.noise_scale", free, ""},
    {"checkpoint.every_steps", free, ""},
    {"checkpoint.at_end", free, ""},
    {"checkpoint.keep", free, ""},
};

using Values = std::map<std::string, std::string>;

/// The run's values, and over them those of the checkpoint's configuration.
std::pair<Values, RunConfig> values_of(const std::string& file, const std::string& checkpoint_toml, RunConfig run) {
  config::Table root;
  declare(root, run);
  config::load_text(root, checkpoint_toml, file + ":config_toml");
  return {config::values(root), run};
}

Values values_of(RunConfig run) {
  config::Table root;
  declare(root, run);
  return config::values(root);
}

[[noreturn]] void refuse(const std::string& file, const KeyRule& rule, const std::string& theirs, const char* whose,
                         const std::string& ours) {
  user_error("{} was written with {} = {}, {} {}: set {} = {} {}", file, rule.key, theirs, whose, ours, rule.key,
             theirs, rule.reason);
}

/// What a step took from the order of samples before and takes now: its place is (step - 1) x the global batch.
std::string batch_note(std::int64_t step, std::int64_t theirs, std::int64_t ours) {
  const std::int64_t seen = step * theirs, begin = step * ours;
  return fmt::format(
      "batch.global = {}, the checkpoint's run had {}: its {} steps saw the samples at places 0 to {} of the "
      "order, step {} begins at place {}: {} samples are {}",
      ours, theirs, step, seen - 1, step + 1, begin, std::abs(begin - seen), begin > seen ? "left out" : "seen again");
}

/// Of a rate that falls towards run.steps, and had begun to. Empty: the steps to come have the rate that they would have had.
std::string schedule_note(std::int64_t step, const RunConfig& theirs, const RunConfig& ours) {
  const bool falls = ours.optimizer.schedule == "cosine" ||
                     (ours.optimizer.schedule == "wsd" && step > theirs.run.steps - theirs.optimizer.decay_steps);
  if (!falls || theirs.run.steps == ours.run.steps || theirs.optimizer.schedule != ours.optimizer.schedule) return "";
  return fmt::format(
      "run.steps = {}, the checkpoint's run had {}, and the learning rate falls to the last step: it was {:.4g} in step {} "
      "and is {:.4g} in step {}",
      ours.run.steps, theirs.run.steps, learning_rate(theirs, step), step, learning_rate(ours, step + 1), step + 1);
}

std::string text(const DatasetIdentity& dataset) {
  const bool endless = dataset.contents.starts_with("procedural");
  return endless ? dataset.contents : fmt::format("{} samples ({})", dataset.samples, dataset.contents);
}

/// `seen`: samples that the checkpoint's run had taken.
std::string dataset_note(std::int64_t seen, const DatasetIdentity& theirs, const DatasetIdentity& ours) {
  const std::string changed = fmt::format("the dataset is {}, the checkpoint's run had {}", text(ours), text(theirs));
  if (ours.samples == theirs.samples) return changed + ": samples of the same places, but other contents";
  return fmt::format(
      "{}: the order of the samples is another one, and of the {} that it had seen in its epoch {} some come "
      "again and others are left out",
      changed, seen % theirs.samples, seen / theirs.samples + 1);
}

}  // namespace

std::span<const KeyRule> resume_rules() { return kRules; }

std::vector<std::string> compare_with_checkpoint(const std::string& file, const CheckpointInfo& checkpoint,
                                                 const ResumingRun& run) {
  const RunConfig our_config = parse_run(run.config_toml, "config_toml");
  const Values ours = values_of(our_config);
  const auto [theirs, their_config] = values_of(file, checkpoint.config_toml, our_config);
  std::vector<std::string> notes;
  for (const KeyRule& rule : kRules) {
    const std::string &their = theirs.at(rule.key), &our = ours.at(rule.key);
    if (their == our || rule.difference == free) continue;
    if (rule.difference == refused) refuse(file, rule, their, "this run has", our);
    notes.push_back(std::string_view(rule.key) == "batch.global"
                        ? batch_note(checkpoint.step, their_config.batch.global, our_config.batch.global)
                        : fmt::format("{} = {}, the checkpoint's run had {}: {}", rule.key, our, their, rule.reason));
  }
  if (const std::string note = schedule_note(checkpoint.step, their_config, our_config); !note.empty())
    notes.push_back(note);
  if (checkpoint.dataset.samples > 0) {
    if (checkpoint.dataset != run.dataset)
      notes.push_back(dataset_note(checkpoint.step * their_config.batch.global, checkpoint.dataset, run.dataset));
  } else if (their_config.data.path != our_config.data.path) {
    notes.push_back(
        fmt::format("data.path = \"{}\", the checkpoint's run had \"{}\", and the checkpoint does not say which "
                    "samples those were",
                    our_config.data.path, their_config.data.path));
  }
  return notes;
}

bool is_consistency_model(const std::string& file, const CheckpointInfo& checkpoint) {
  return parse_run(checkpoint.config_toml, file + ":config_toml").objective.distils();
}

void compare_model(const std::string& file, const CheckpointInfo& checkpoint, const model::ModelConfig& model,
                   const char* whose) {
  RunConfig run;
  run.model = model;
  const Values ours = values_of(run), theirs = values_of(file, checkpoint.config_toml, run).first;
  for (const KeyRule& rule : kRules) {
    const std::string_view key = rule.key;
    if (!key.starts_with("model.") || rule.difference != refused) continue;
    if (key == "model.input_size" || key == "model.frames") continue;
    if (theirs.at(rule.key) != ours.at(rule.key)) refuse(file, rule, theirs.at(rule.key), whose, ours.at(rule.key));
  }
}

}  // namespace gpumonth::trainer
