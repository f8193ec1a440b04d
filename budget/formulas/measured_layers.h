// The utilisation of the scenario's training from layers as measured: which of the logs are of its blocks, their fit,
// and what it says at each length of samples that the training has.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "budget/inputs/layer_times.h"
#include "budget/inputs/number.h"
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

/// The lengths of the samples that the scenario trains on, with their shares of its FLOPs.
LengthShares training_lengths(const Scenario& scenario);

struct MeasuredLayers {
  LayerFit fit = {};
  LengthShares lengths = {};
  std::vector<Number> mfu = {};   ///< at each of them, with the plan's recompute
  Number utilisation = {};        ///< of the training
  Number without_recompute = {};  ///< the same where nothing is computed again
  bool carried_over = false;      ///< to a device of the same peak
};

/// Nothing where the logs hold no two lengths of the scenario's blocks; a note then says why not, naming every log that
/// is of other ones. With a fit, a note names every log that is left out of it.
std::optional<MeasuredLayers> measured_layers(const Scenario& scenario, const std::vector<Efficiency>& runs,
                                              std::vector<std::string>& notes);

/// "at 8,192 and 32,768 tokens".
std::string measured_lengths(const LayerFit& fit);

}  // namespace gpumonth::budget
