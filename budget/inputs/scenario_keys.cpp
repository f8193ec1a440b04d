// Every number that a scenario can hold. A new assumption is one line here, and one in the scenario files.
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {
namespace {

constexpr double kPositive = 1e-6;  // divisors and factors: anything but zero

// Ranges are wide: what lies beyond is no other opinion but another unit, of which the likeliest is proposed.
constexpr double kPerCent[] = {0.01}, kCents[] = {0.01}, kHoursOfMonth[] = {1.0 / 24}, kMilli[] = {1e-3},
                 kKilo[] = {1e3, 1e-3}, kBillions[] = {1e9, 1e6}, kGiga[] = {1e9, 1e12};

constexpr ScenarioKey kKeys[] = {
    {"time.days_per_month", "day", 1, 31, true, "length of a GPU-month", kHoursOfMonth},

    {"video.clip_length", "s", 0.01, 7200, false, "length of a training and sampling clip", kMilli},
    {"video.frame_rate", "1/s", 0.1, 1000, false, "frames per second before the autoencoder"},
    {"video.temporal_compression", "1", 1, 1000, false, "frames per latent frame"},
    {"video.share", "1", 0, 1, false, "share of the training samples that are clips; the rest are images", kPerCent},

    {"training.base_operations", "FLOP", 1e15, 1e30, false, "published training compute of the base model"},
    {"training.flops_per_operation", "1", 1, 2, false, "2 where base_operations counts a multiply-add once"},
    {"training.base_forward", "MAC", 1e6, 1e18, false, "forward pass of the base model, one sample", kGiga},
    {"training.base_batch", "sample", 1, 1e9, false, "global batch of the base model's training"},
    {"training.base_steps", "1", 1, 1e10, false, "optimizer steps of the base model's training"},
    {"training.base_parameters", "parameter", 1e4, 1e15, false, "size of the base model", kBillions},
    {"training.parameters", "parameter", 1e4, 1e15, false, "size of the model that is estimated", kBillions},
    {"training.model_factor", "1", kPositive, 1e6, false, "compute per sample against the base model"},
    {"training.data_factor", "1", kPositive, 1e6, false, "samples seen against the base model"},
    {"training.samples", "sample", 1, 1e18, false, "samples seen; instead of base_batch x base_steps x data_factor"},
    {"training.flop_per_sample", "FLOP", 1e6, 1e22, false,
     "training FLOP of one sample, where the model is no DiT and cannot be counted", kGiga},

    {"utilisation.published_mfu", "1", 0.001, 1, true, "model FLOPs over peak FLOPs, where nothing was measured",
     kPerCent},
    {"utilisation.gpu_seconds", "GPU-s/sample", 1e-9, 1e6, false,
     "GPU-seconds per sample of a benchmark of this very training; goes before published_mfu"},

    {"scaling.reference_gpus", "GPU", 1, 1e7, false, "GPUs at which the published utilisation holds"},
    {"scaling.transfer", "1", 0, 1000, false,
     "loss by scaling against the curve's: time it costs here over what it costs on the curve that is "
     "carried over"},

    {"step.bandwidth", "B/s", 1e7, 1e14, false,
     "bus bandwidth of the gradients' all-reduce, per GPU; given where the utilisation is one of large "
     "batches",
     kGiga},

    {"batch.critical", "sample", 1, 1e12, false, "critical batch: there twice the samples of a small batch are needed"},
    {"batch.base", "sample", 1, 1e12, false, "batch for which the samples seen are meant; else training.base_batch"},

    {"goodput.failure_rate", "1/GPU-hour", 0, 0.1, false, "interruptions of the job per GPU and hour"},
    {"goodput.checkpoint", "s", 1e-3, 86400, false, "time for which training stands still per checkpoint", kMilli},
    {"goodput.restart", "s", 0, 604800, false, "time from a failure to the next step, lost work not counted", kMilli},
    {"goodput.other_stops", "1", 0, 0.99, false,
     "share of the time without steps for other reasons: evaluation, data, restarts by hand", kPerCent},

    {"inference.image_step", "FLOP", 1e6, 1e18, false, "one denoising step of one image, as published", kGiga},
    {"inference.sampling_steps", "1", 1, 1e5, false, "denoising steps per output"},
    {"inference.few_steps", "1", 1, 1e5, false, "denoising steps of a distilled sampler"},

    {"outputs.tokens", "token", 1, 1e12, false, "language model output to compare with"},
    {"outputs.llama2_70b_parameters", "parameter", 1e4, 1e15, false, "active parameters per token", kBillions},
    {"outputs.gpt4_parameters", "parameter", 1e4, 1e15, false, "active parameters per token", kBillions},

    {"uploads.instagram", "image/day", 1, 1e13, false, "images uploaded"},
    {"uploads.tiktok", "min/day", 1, 1e13, false, "video uploaded"},
    {"uploads.youtube", "min/day", 1, 1e13, false, "video uploaded"},

    {"demand.tiktok_share", "1", 0, 1, false, "share of TikTok's uploads that is generated", kPerCent},
    {"demand.youtube_share", "1", 0, 1, false, "share of YouTube's uploads that is generated", kPerCent},
    {"demand.rounding", "min/h", 0, 1e6, false, "minutes per GPU-hour are rounded to a multiple; 0: not rounded"},
    {"demand.utilisation", "1", 0.001, 1, false, "share of the day in which a GPU has work", kPerCent},
    {"demand.peak_factor", "1", 1, 1000, false, "peak load over mean load"},
    {"demand.tries", "1", 1, 1e6, false, "clips generated per clip kept"},
    {"demand.printed_gpus", "GPU", 1, 1e12, false, "the demand as the publication prints it"},
    {"demand.printed_peak_gpus", "GPU", 1, 1e12, false, "the peak demand as the publication prints it"},

    {"cost.gpus", "GPU", 1, 1e7, false, "GPUs that train at the same time"},
    {"cost.price", "USD/GPU-hour", 0, 100, false, "price of one GPU for one hour", kCents},
    {"cost.power", "W", 1, 1e5, false, "power per GPU", kKilo},
    {"cost.pue", "1", 1, 10, false, "power of the building over power of the machines", kPerCent},

    {"disclosed.gpu_hours", "GPU-hour", 1e-3, 1e12, false, "what the training is known to have taken"},
};

}  // namespace

std::span<const ScenarioKey> scenario_keys() { return kKeys; }

}  // namespace gpumonth::budget
