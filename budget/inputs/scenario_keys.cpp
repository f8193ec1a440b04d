// Every number that a scenario can hold. A new assumption is one line here, and one in the scenario files. `*` stands for
// the id of an entry of a list, as [[uploads]] id = "...".
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {
namespace {

constexpr double kPositive = 1e-6;  // divisors and factors: anything but zero

// Ranges are wide: what lies beyond is no other opinion but another unit, of which the likeliest is proposed.
constexpr double kPerCent[] = {0.01}, kCents[] = {0.01}, kHoursOfMonth[] = {1.0 / 24}, kMilli[] = {1e-3},
                 kKilo[] = {1e3, 1e-3}, kBillions[] = {1e9, 1e6}, kGiga[] = {1e9, 1e12};

constexpr bool kRequired = true, kOptional = false;
// Not drawn is what the utilisation stands for, what is chosen, and what a back-test compares with.
constexpr bool kDrawn = true, kNotDrawn = false;

constexpr ScenarioKey kKeys[] = {
    {"time.days_per_month", "day", 1, 31, kRequired, kDrawn, "length of a GPU-month", kHoursOfMonth},

    {"video.clip_length", "s", 0.01, 7200, kOptional, kDrawn, "length of a training and sampling clip", kMilli},
    {"video.frame_rate", "1/s", 0.1, 1000, kOptional, kDrawn, "frames per second before the autoencoder"},
    {"video.temporal_compression", "1", 1, 1000, kOptional, kDrawn, "frames per latent frame"},
    {"video.spatial_compression", "1", 1, 1000, kOptional, kDrawn,
     "pixels per latent pixel along an edge, for the stages of data.curriculum"},
    {"video.share", "1", 0, 1, kOptional, kDrawn, "share of the training samples that are clips; the rest are images",
     kPerCent},

    {"training.base_operations", "FLOP", 1e15, 1e30, kOptional, kDrawn, "published training compute of the base model"},
    {"training.flops_per_operation", "1", 1, 2, kOptional, kDrawn,
     "2 where base_operations counts a multiply-add once"},
    {"training.base_forward", "MAC", 1e6, 1e18, kOptional, kDrawn, "forward pass of the base model, one sample", kGiga},
    {"training.base_batch", "sample", 1, 1e9, kOptional, kDrawn, "global batch of the base model's training"},
    {"training.base_steps", "1", 1, 1e10, kOptional, kDrawn, "optimizer steps of the base model's training"},
    {"training.base_parameters", "parameter", 1e4, 1e15, kOptional, kDrawn, "size of the base model", kBillions},
    {"training.parameters", "parameter", 1e4, 1e15, kOptional, kDrawn, "size of the model that is estimated",
     kBillions},
    {"training.model_factor", "1", kPositive, 1e6, kOptional, kDrawn, "compute per sample against the base model"},
    {"training.data_factor", "1", kPositive, 1e6, kOptional, kDrawn, "samples seen against the base model"},
    {"training.samples", "sample", 1, 1e18, kOptional, kDrawn,
     "samples seen; instead of base_batch x base_steps x data_factor"},
    {"training.flop_per_sample", "FLOP", 1e6, 1e22, kOptional, kDrawn,
     "training FLOP of one sample, where the model is no DiT and cannot be counted", kGiga},

    {"data.optimal_tokens", "token", 1, 1e24, kOptional, kDrawn,
     "tokens that scaling laws call optimal, at the model's size; left out: from data.laws", kBillions},
    {"data.overtraining", "1", 1e-3, 1e6, kOptional, kDrawn, "over-training: tokens seen over the optimal ones"},

    {"utilisation.published_mfu", "1", 0.001, 1, kRequired, kNotDrawn,
     "model FLOPs over peak FLOPs, where nothing was measured", kPerCent},
    {"utilisation.tokens", "token", 1, 1e9, kOptional, kNotDrawn,
     "tokens of the samples with which published_mfu was reached; left out: as many as here"},
    {"utilisation.gpu_seconds", "GPU-s/sample", 1e-9, 1e6, kOptional, kNotDrawn,
     "GPU-seconds per sample of a benchmark of this very training; goes before published_mfu"},

    {"scaling.reference_gpus", "GPU", 1, 1e7, kOptional, kDrawn, "GPUs at which the published utilisation holds"},
    {"scaling.transfer", "1", 0, 1000, kOptional, kDrawn,
     "loss by scaling against the curve's: time it costs here over what it costs on the curve that is "
     "carried over"},
    {"scaling.curve_parameters", "parameter", 1e4, 1e15, kOptional, kNotDrawn,
     "size of the curve's model; with curve_flop_per_sample and without transfer, that is the ratio of parameters per "
     "FLOP of a GPU's step, half to twice",
     kBillions},
    {"scaling.curve_flop_per_sample", "FLOP", 1e6, 1e22, kOptional, kNotDrawn,
     "training FLOP of a sample of the curve's model", kGiga},
    {"scaling.stragglers", "1", 0, 0.99, kOptional, kDrawn,
     "share of a step on the curve that waits for slow GPUs: of what is lost there, carried over as it is", kPerCent},

    {"plan.imbalance", "1", 0, 10, kOptional, kDrawn,
     "time of a step of images and clips over that of its average replica, less 1", kPerCent},

    {"step.bandwidth", "B/s", 1e7, 1e14, kOptional, kDrawn,
     "bus bandwidth of the gradients' all-reduce, per GPU; given where the utilisation is one of large "
     "batches",
     kGiga},

    {"batch.critical", "sample", 1, 1e12, kOptional, kDrawn,
     "critical batch: there twice the samples of a small batch are needed"},
    {"batch.critical_clips", "clip", 1, 1e12, kOptional, kDrawn,
     "critical batch in clips: the same where samples are clips, then instead of batch.critical"},
    {"batch.base", "sample", 1, 1e12, kOptional, kDrawn,
     "batch for which the samples seen are meant; else training.base_batch"},

    {"goodput.failure_rate", "1/GPU-hour", 0, 0.1, kOptional, kDrawn, "interruptions of the job per GPU and hour"},
    {"goodput.checkpoint", "s", 1e-3, 86400, kOptional, kDrawn, "time for which training stands still per checkpoint",
     kMilli},
    {"goodput.restart", "s", 0, 604800, kOptional, kDrawn,
     "time from a failure to the next step, lost work not counted", kMilli},
    {"goodput.other_stops", "1", 0, 0.99, kOptional, kDrawn,
     "share of the time without steps for other reasons: evaluation, data, restarts by hand", kPerCent},
    {"goodput.effective_time", "1", 0.01, 1, kOptional, kNotDrawn,
     "effective training time that large runs have published; only compared with", kPerCent},
    {"goodput.effective_time_gpus", "GPU", 1, 1e7, kOptional, kNotDrawn, "the numbers of GPUs of those runs"},

    {"inference.image_step", "FLOP", 1e6, 1e18, kOptional, kDrawn, "one denoising step of one image, as published",
     kGiga},
    {"inference.sampling_steps", "1", 1, 1e5, kOptional, kDrawn, "denoising steps per output"},
    {"inference.few_steps", "1", 1, 1e5, kOptional, kDrawn, "denoising steps of a distilled sampler"},
    {"inference.steps", "1", 1, 1e5, kOptional, kDrawn, "denoising steps of samplers in use today"},
    {"inference.forwards_per_step", "1", 1, 10, kOptional, kDrawn,
     "forward passes per denoising step: 2 with guidance, unless that is distilled"},
    {"inference.utilisation", "1", 0.001, 1, kOptional, kDrawn, "model FLOPs over peak FLOPs while sampling", kPerCent},
    {"inference.decode_share", "1", 0, 10, kOptional, kDrawn, "time of the decoder over that of denoising", kPerCent},
    {"inference.multi_gpu_loss", "1", 0, 10, kOptional, kDrawn,
     "GPU-seconds of sampling on several GPUs over those on one, less 1", kPerCent},

    {"outputs.*.tokens", "token", 1, 1e12, kOptional, kDrawn, "output of a language model to compare with"},
    {"outputs.*.parameters", "parameter", 1e4, 1e15, kOptional, kDrawn, "its active parameters per token", kBillions},

    {"uploads.*.images", "image/day", 1, 1e13, kOptional, kDrawn, "images uploaded"},
    {"uploads.*.video", "min/day", 1, 1e13, kOptional, kDrawn, "video uploaded"},
    {"uploads.*.generated_share", "1", 0, 1, kOptional, kDrawn, "share of the video uploaded that is generated",
     kPerCent},

    {"demand.rounding", "min/h", 0, 1e6, kOptional, kDrawn,
     "minutes per GPU-hour are rounded to a multiple; 0: not rounded"},
    {"demand.utilisation", "1", 0.001, 1, kOptional, kDrawn, "share of the day in which a GPU has work", kPerCent},
    {"demand.peak_factor", "1", 1, 1000, kOptional, kDrawn, "peak load over mean load"},
    {"demand.tries", "1", 1, 1e6, kOptional, kDrawn, "clips generated per clip kept"},
    {"demand.printed_gpus", "GPU", 1, 1e12, kOptional, kDrawn, "the demand as the publication prints it"},
    {"demand.printed_peak_gpus", "GPU", 1, 1e12, kOptional, kDrawn, "the peak demand as the publication prints it"},

    {"cost.gpus", "GPU", 1, 1e7, kOptional, kNotDrawn, "GPUs that train at the same time"},
    {"cost.price", "USD/GPU-hour", 0, 100, kOptional, kDrawn, "price of one GPU for one hour", kCents},
    {"cost.power", "W", 1, 1e5, kOptional, kDrawn, "power per GPU", kKilo},
    {"cost.pue", "1", 1, 10, kOptional, kDrawn, "power of the building over power of the machines", kPerCent},

    {"disclosed.gpu_hours", "GPU-hour", 1e-3, 1e12, kOptional, kNotDrawn, "what the training is known to have taken"},
};

}  // namespace

std::span<const ScenarioKey> scenario_keys() { return kKeys; }

bool ScenarioKey::names(std::string_view name) const {
  const std::string_view pattern = key;
  const auto star = pattern.find('*');
  if (star == std::string_view::npos) return name == pattern;
  const std::string_view head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) return false;
  const std::string_view id = name.substr(head.size(), name.size() - head.size() - tail.size());
  return id.find('.') == std::string_view::npos;
}

const ScenarioKey* scenario_key(std::string_view name) {
  for (const auto& key : kKeys)
    if (key.names(name)) return &key;
  return nullptr;
}

}  // namespace gpumonth::budget
