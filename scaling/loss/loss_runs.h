// Trainings as points of loss against compute: each with its size, the data it saw, what that cost, and the loss at its end.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::scaling {

/// One training, or one checkpoint of it.
struct LossRun {
  std::string name;
  double parameters = 0;      ///< N: of the model, all of them
  double samples = 0;         ///< seen until then
  double tokens = 0;          ///< D: samples x tokens of a sample
  double model_flops = 0;     ///< C: forward and backward, no recomputation
  double loss = 0;            ///< above 0
  double standard_error = 0;  ///< of the loss; 0 where it is not known
};

enum class LossKind {
  training,   ///< mean over the last steps of a log (kLastShare)
  validation  ///< of `gpumonth evaluate`: the same samples and noise for all
};
const char* name(LossKind kind);  ///< "training", "validation"

struct LossRuns {
  LossKind kind = LossKind::training;
  std::vector<LossRun> runs;
  std::vector<std::string> notes;
};

/// Of the steps of a run, those at the end whose mean loss stands for it; the same share in every run, so that a loss
/// that still falls is late by the same factor of its data in all of them.
constexpr double kLastShare = 0.2;
constexpr std::size_t kFewestLastSteps = 8;

/// From run logs (a run's resumed logs are put together, wherever they stand in the list) or from one quality.json of
/// `gpumonth evaluate`. Throws UserError: both kinds, a log of sampling, one that was not measured, a resumed log without
/// those before it, too few steps, samples of different lengths, a quality.json without validation losses.
LossRuns read_loss_runs(const std::vector<std::string>& files);

/// The same of one run's logs, in order of their steps.
LossRun loss_of_logs(std::span<const runlog::Run> logs);

/// Runs of one size with the same data and compute are seeds of one point, and their mean loss stands for it. Its standard error is
/// that of the mean, by the seeds' relative scatter pooled over all points; validation losses, of the same samples and noise
/// for all, keep their own besides. Runs without others of their kind stay as they are, and are that much less certain. In notes:
/// how many, and the scatter. Throws UserError where no point has two.
LossRuns average_seeds(const LossRuns& data);

/// The checkpoints of a quality.json.
std::vector<LossRun> loss_of_quality(const std::filesystem::path& file);

}  // namespace gpumonth::scaling
