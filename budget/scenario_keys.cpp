// Every number that a scenario can hold. A new assumption is one line here, and one in the scenario files.
#include <limits>

#include "budget/scenario.h"

namespace gpumonth::budget {
namespace {

constexpr double kAny = std::numeric_limits<double>::max();
constexpr double kPositive = 1e-12;  // divisors and factors: anything but zero

constexpr ScenarioKey kKeys[] = {
    {"time.days_per_month", "day", 1, 31, true, "length of a GPU-month"},

    {"video.clip_length", "s", kPositive, kAny, false, "length of a training and sampling clip"},
    {"video.frame_rate", "1/s", kPositive, kAny, false, "frames per second before the autoencoder"},
    {"video.temporal_compression", "1", kPositive, kAny, false, "frames per latent frame"},
    {"video.share", "1", 0, 1, false, "share of the training samples that are clips; the rest are images"},

    {"training.base_operations", "FLOP", kPositive, kAny, false,
     "published training compute of the base model"},
    {"training.flops_per_operation", "1", 1, 2, false, "2 where base_operations counts a multiply-add once"},
    {"training.base_forward", "MAC", kPositive, kAny, false, "forward pass of the base model, one sample"},
    {"training.base_batch", "sample", 1, kAny, false, "global batch of the base model's training"},
    {"training.base_steps", "1", 1, kAny, false, "optimizer steps of the base model's training"},
    {"training.base_parameters", "parameter", 1, kAny, false, "size of the base model"},
    {"training.parameters", "parameter", 1, kAny, false, "size of the model that is estimated"},
    {"training.model_factor", "1", kPositive, kAny, false, "compute per sample against the base model"},
    {"training.data_factor", "1", kPositive, kAny, false, "samples seen against the base model"},
    {"training.samples", "sample", 1, kAny, false,
     "samples seen; instead of base_batch x base_steps x data_factor"},
    {"training.flop_per_sample", "FLOP", kPositive, kAny, false,
     "training FLOP of one sample, where the model is no DiT and cannot be counted"},

    {"utilisation.published_mfu", "1", 0.001, 1, true,
     "model FLOPs over peak FLOPs, where nothing was measured"},
    {"utilisation.gpu_seconds", "GPU-s/sample", kPositive, kAny, false,
     "GPU-seconds per sample of a benchmark of this very training; goes before published_mfu"},

    {"scaling.reference_gpus", "GPU", 1, kAny, false, "GPUs at which the published utilisation holds"},
    {"scaling.transfer", "1", 0, kAny, false,
     "loss by scaling against the curve's: time it costs here over what it costs on the curve that is "
     "carried over"},

    {"step.bandwidth", "B/s", kPositive, kAny, false,
     "bus bandwidth of the gradients' all-reduce, per GPU; given where the utilisation is one of large "
     "batches"},

    {"batch.critical", "sample", 1, kAny, false,
     "critical batch: there twice the samples of a small batch are needed"},
    {"batch.base", "sample", 1, kAny, false,
     "batch for which the samples seen are meant; else training.base_batch"},

    {"goodput.failure_rate", "1/GPU-hour", 0, 1, false, "interruptions of the job per GPU and hour"},
    {"goodput.checkpoint", "s", 1e-3, kAny, false, "time for which training stands still per checkpoint"},
    {"goodput.restart", "s", 0, kAny, false, "time from a failure to the next step, lost work not counted"},
    {"goodput.other_stops", "1", 0, 0.99, false,
     "share of the time without steps for other reasons: evaluation, data, restarts by hand"},

    {"inference.image_step", "FLOP", kPositive, kAny, false, "one denoising step of one image, as published"},
    {"inference.sampling_steps", "1", 1, kAny, false, "denoising steps per output"},
    {"inference.few_steps", "1", 1, kAny, false, "denoising steps of a distilled sampler"},

    {"outputs.tokens", "token", 1, kAny, false, "language model output to compare with"},
    {"outputs.llama2_70b_parameters", "parameter", 1, kAny, false, "active parameters per token"},
    {"outputs.gpt4_parameters", "parameter", 1, kAny, false, "active parameters per token"},

    {"uploads.instagram", "image/day", kPositive, kAny, false, "images uploaded"},
    {"uploads.tiktok", "min/day", kPositive, kAny, false, "video uploaded"},
    {"uploads.youtube", "min/day", kPositive, kAny, false, "video uploaded"},

    {"demand.tiktok_share", "1", 0, 1, false, "share of TikTok's uploads that is generated"},
    {"demand.youtube_share", "1", 0, 1, false, "share of YouTube's uploads that is generated"},
    {"demand.rounding", "min/h", 0, kAny, false,
     "minutes per GPU-hour are rounded to a multiple; 0: not rounded"},
    {"demand.utilisation", "1", 0.001, 1, false, "share of the day in which a GPU has work"},
    {"demand.peak_factor", "1", 1, kAny, false, "peak load over mean load"},
    {"demand.tries", "1", 1, kAny, false, "clips generated per clip kept"},
    {"demand.printed_gpus", "GPU", 1, kAny, false, "the demand as the publication prints it"},
    {"demand.printed_peak_gpus", "GPU", 1, kAny, false, "the peak demand as the publication prints it"},

    {"cost.gpus", "GPU", 1, kAny, false, "GPUs that train at the same time"},
    {"cost.price", "USD/GPU-hour", 0, kAny, false, "price of one GPU for one hour"},
    {"cost.power", "W", 0, kAny, false, "power per GPU"},
    {"cost.pue", "1", 1, 10, false, "power of the building over power of the machines"},

    {"disclosed.gpu_hours", "GPU-hour", kPositive, kAny, false, "what the training is known to have taken"},
};

}  // namespace

std::span<const ScenarioKey> scenario_keys() { return kKeys; }

}  // namespace gpumonth::budget
