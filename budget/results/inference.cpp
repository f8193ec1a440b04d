// Inference: FLOP per output, output per GPU-hour, break-even with training. "As published" numbers take the
// publication's operations for FLOPs at 100 % of the peak; "counted" ones count the model, 2 FLOP per multiply-add.
#include <fmt/format.h>

#include "budget/formulas/quantities.h"
#include "budget/plan/training_plan.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

constexpr double kSecondsPerHour = 3600, kSecondsPerMinute = 60, kFlopsPerMac = 2;

Number clip_minutes(const Scenario& s) { return s.at("video.clip_length") / exactly(kSecondsPerMinute); }

/// How many days of every platform's uploads that is; `key`: "images" or "video".
void add_days_of_uploads(const Scenario& s, const Number& even, const char* line, const char* key, Group& group) {
  for (const auto& platform : s.uploads)
    if (s.has(platform.input(key)))
      group.lines.push_back({fmt::format("{}_{}_days", line, platform.id),
                             fmt::format("  in days of {}'s uploads", platform.name),
                             (even / s.at(platform.input(key))).as("day", "break-even / uploads per day")});
}

void add_image(const Scenario& s, Group& group) {
  const Number image = image_inference(s);
  group.lines.push_back({"image_flops", "one image of the base model, all steps, as published", image});
  if (!s.has("training.base_operations")) return;
  const Number even = (s.at("training.base_operations") / image).as("image", "training / inference compute");
  group.lines.push_back({"image_break_even", "break-even of the base model", even});
  add_days_of_uploads(s, even, "image_break_even", "images", group);
}

void add_clip(const Scenario& s, const Rung* published, Group& group) {
  const Number clip = clip_inference(s);
  group.lines.push_back(
      {"clip_step_flops", "one clip, one denoising step, as published",
       (s.at("inference.image_step") * s.at("training.model_factor") * latent_frames(Inputs<Number>(s)))
           .as("FLOP", "image step x model factor x latent frames")});
  group.lines.push_back({"clip_flops", "one clip, all steps, as published", clip});
  const Number rate = minutes_per_gpu_hour(s, clip);
  group.lines.push_back({"minutes_per_gpu_hour", "clip minutes per GPU-hour at the peak", rate});
  if (s.has("inference.few_steps"))
    group.lines.push_back({"few_steps_minutes_per_gpu_hour", "  with a few-step sampler (consistency model)",
                           (rate * s.at("inference.sampling_steps") / s.at("inference.few_steps"))
                               .as("min/h", "minutes per GPU-hour x sampling_steps / few_steps")});
  if (published == nullptr) return;
  const Number even =
      (published->compute / (clip / clip_minutes(s))).as("min", "training / inference compute per minute");
  group.lines.push_back({"clip_break_even_minutes", "break-even, as published", even});
  add_days_of_uploads(s, even, "clip_break_even", "video", group);
}

void add_counted(const Scenario& s, const Rung* counted, Group& group) {
  const Number clip = (kFlopsPerMac * clip_forward_macs(Inputs<Number>(s)) * s.at("inference.sampling_steps"))
                          .as("FLOP", "2 x forward MACs x sampling steps");
  group.lines.push_back({"counted_clip_flops", "one clip, all steps, counted with attention", clip});
  group.lines.push_back({"counted_minutes_per_gpu_hour", "clip minutes per GPU-hour at the peak, counted",
                         minutes_per_gpu_hour(s, clip)});
  if (counted != nullptr)
    group.lines.push_back({"counted_break_even_minutes", "break-even, counted",
                           (counted->compute / (clip / clip_minutes(s))).as("min", "training / inference compute")});
}

/// What the training takes, counted and by the chosen rule of the data.
const Rung* counted_training(const std::vector<Rung>& rungs) {
  const Rung* data = find(rungs, RungId::data);
  return data != nullptr ? data : find(rungs, RungId::attention_counted);
}

/// Minutes of clip per GPU-hour as samplers work: guidance, the share of the peak that they reach, the decoder, several
/// GPUs. What the scenario does not give costs nothing.
template <class V>
V minutes_as_sampled(const Inputs<V>& in, const char* steps) {
  V flop = kFlopsPerMac * clip_forward_macs(in) * in.at(steps);
  if (in.has("inference.forwards_per_step")) flop = flop * in.at("inference.forwards_per_step");
  V minutes = in.at("video.clip_length") * in.at("hardware.peak_flops_per_s") * in.at("inference.utilisation") *
              in.constant(kSecondsPerHour / kSecondsPerMinute) / flop;
  for (const char* extra : {"inference.decode_share", "inference.multi_gpu_loss"})
    if (in.has(extra)) minutes = minutes / (in.constant(1) + in.at(extra));
  return named(minutes, "min/h",
               "clip minutes x peak x utilisation x 3,600 s / (2 x forward MACs x steps x forwards per step x "
               "(1 + decoder) x (1 + loss on several GPUs))");
}

void add_as_sampled(const Scenario& s, const Inputs<Column>& draws, Group& group) {
  const Inputs<Number> ends(s);
  const auto add = [&](const char* steps, const char* id, const std::string& label) {
    if (!s.has(steps)) return;
    const Number from = minutes_as_sampled(ends, steps);
    const Column minutes = minutes_as_sampled(draws, steps);
    group.lines.push_back({id, label, drawn(minutes, from, from.unit, from.formula)});
    Number median = group.lines.back().number;
    median.low = median.high = quantile_of(minutes, 0.5);
    group.lines.push_back({std::string(id) + "_median", "    median", median});
  };
  add("inference.sampling_steps", "sampled_minutes_per_gpu_hour", "  with guidance, decoder, share of the peak: 90 %");
  add("inference.steps", "in_use_minutes_per_gpu_hour", "  the same with the steps in use today: 90 %");
}

/// Minutes of clip per GPU-hour at the share of the peak that our own sampler reached: denoising alone, no decoder. For a
/// model of the log's own shape that is its measured seconds per denoising step.
void add_measured(const Scenario& s, const std::vector<SampledRun>& sampled, Group& group,
                  std::vector<std::string>& notes) {
  for (const SampledRun& run : sampled)
    if (!run.efficiency.has_mfu())
      notes.push_back(fmt::format("sampling of run {}: {}", run.efficiency.path, run.efficiency.why_unknown));
  if (sampled.empty() || !s.has("video.clip_length")) return;
  const Inputs<Number> in(s);
  for (const int forwards : {2, 1}) {
    const Number reached = sampled_utilisation(sampled, forwards == 2, s.hardware);
    if (!reached.known()) continue;
    const char* how = forwards == 2 ? "guidance" : "no guidance";
    for (const int steps : {250, 50, 4}) {
      const Number flop = kFlopsPerMac * clip_forward_macs(in) * static_cast<double>(steps * forwards);
      group.lines.push_back({fmt::format("measured_minutes_per_gpu_hour_{}{}", steps, forwards == 2 ? "_guided" : ""),
                             fmt::format("  sampler as measured, {} steps, {}", steps, how),
                             (minutes_per_gpu_hour(s, flop) * reached)
                                 .as("min/h",
                                     "clip minutes x peak x measured share of it x 3,600 s / (2 x forward MACs x steps "
                                     "x forwards per step)")});
    }
  }
}

}  // namespace

Number image_inference(const Scenario& s) {
  if (!s.has_all({"inference.image_step", "inference.sampling_steps"})) return {};
  return (s.at("inference.image_step") * s.at("inference.sampling_steps")).as("FLOP", "image step x sampling steps");
}

Number clip_inference(const Scenario& s) {
  if (!s.has_all({"video.clip_length", "training.model_factor"}) || !image_inference(s).known()) return {};
  return (image_inference(s) * s.at("training.model_factor") * latent_frames(Inputs<Number>(s)))
      .as("FLOP", "image step x sampling steps x model factor x latent frames");
}

Number minutes_per_gpu_hour(const Scenario& s, const Number& flop_per_clip) {
  return (clip_minutes(s) * s.at("hardware.peak_flops_per_s") * exactly(kSecondsPerHour) / flop_per_clip)
      .as("min/h", "clip minutes x peak x 3,600 s / FLOP per clip");
}

Group inference_group(const Scenario& s, const Inputs<Column>& draws, const std::vector<Rung>& rungs,
                      const std::vector<SampledRun>& sampled, std::vector<std::string>& notes) {
  Group group{.id = "inference", .title = "Inference and break-even", .lines = {}};
  if (image_inference(s).known())
    add_image(s, group);
  else
    notes.push_back("inference: nothing as published, inference.image_step or sampling_steps is not given");
  if (clip_inference(s).known()) add_clip(s, find(rungs, RungId::as_published), group);
  if (s.has_all({"video.clip_length", "inference.sampling_steps"})) add_counted(s, counted_training(rungs), group);
  if (s.has_all({"video.clip_length", "inference.utilisation"})) add_as_sampled(s, draws, group);
  add_measured(s, sampled, group, notes);
  return group;
}

}  // namespace gpumonth::budget
