// The ladder: from the published estimate to a budget, one replaced assumption per rung. Each rung starts
// from the one before it and changes one thing. A new rung is a new function in a file like rung_goodput.cpp, and a
// line in ladder.cpp's list.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "budget/inputs/efficiency.h"
#include "budget/inputs/number.h"
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

struct Cluster;

struct Rung {
  std::string id = {};                   ///< "as-published"
  std::string replaces = {};             ///< the assumption that goes; empty on the first rung
  std::string replacement = {};          ///< what stands in its place, with its numbers
  std::vector<std::string> inputs = {};  ///< what the replacement brings in: scenario keys, runs
  Number compute = {};                   ///< FLOP (or what is taken for it) of the whole training
  Number utilisation = {};               ///< share of the peak that is reached
  Number gpu_months = {};
  /// Where the rung is a Monte Carlo: low and high of its numbers are the 5 % and 95 % quantiles, `median`
  /// the 50 % one and `factor` the same of the ratio to the rung before, draw by draw.
  double median = std::numeric_limits<double>::quiet_NaN();
  Number factor = {};
  bool is_drawn() const { return factor.known(); }
  /// Against the rung before: draw by draw, or end by end. An end is not finite where that rung's is 0.
  Number factor_over(const Rung& before) const;
};

struct LadderContext {
  const Scenario& scenario;
  const std::vector<Efficiency>& runs;
  std::vector<std::string>& notes;   ///< what is left out, and why
  const Cluster* cluster = nullptr;  ///< the training on N GPUs; nullptr: N is not given, or no utilisation
};

/// The next rung, from `before` (nullptr where no rung stands yet); nothing, and a note, where inputs are missing.
using RungFunction = std::optional<Rung> (*)(const LadderContext&, const Rung* before);

std::optional<Rung> as_published(const LadderContext& context, const Rung* before);
std::optional<Rung> flops_counted(const LadderContext& context, const Rung* before);
std::optional<Rung> attention_counted(const LadderContext& context, const Rung* before);
std::optional<Rung> measured_mfu(const LadderContext& context, const Rung* before);
std::optional<Rung> scaling(const LadderContext& context, const Rung* before);
std::optional<Rung> goodput(const LadderContext& context, const Rung* before);

std::vector<Rung> climb(const LadderContext& context);

/// compute / (peak x utilisation x days x 86,400 s), in GPU-months of the scenario's device.
Number gpu_months(const Scenario& scenario, const Number& compute, const Number& utilisation);

/// Latent frames of a clip as a number with provenance; 1 for images.
Number latent_frames(const Scenario& scenario);
/// Share of clips among the samples: video.share, or all where the model has frames and nothing is said.
Number video_share(const Scenario& scenario);
/// Samples seen in training: training.samples, or base_batch x base_steps x data_factor; unknown without either.
Number samples_seen(const Scenario& scenario);

/// Model FLOPs over peak: of the runs, else of the recipe's own benchmark, else as published.
Number reached_utilisation(const Scenario& scenario, const std::vector<Efficiency>& runs);
/// Whether the published product of factors is a compute: it counts clips alone, and is none where video.share is 0.
bool has_published_compute(const Scenario& scenario);
/// Whether the scenario says enough for a compute: samples, or a published base.
bool has_compute(const Scenario& scenario);

/// Counted from the scenario's model, not scaled: forward MACs of one clip, or of one image (the model's
/// first latent frame alone).
Number clip_forward_macs(const Scenario& scenario);
Number image_forward_macs(const Scenario& scenario);

}  // namespace gpumonth::budget
