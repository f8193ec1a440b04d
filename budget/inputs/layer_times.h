// Seconds of one block against the tokens T of a sample, from logs at two or more lengths:
//
//   seconds(T) = a T + b T^2        a: projections, MLP, norms; b: attention
//
// for forward alone (what recompute repeats) and for forward and backward. docs/method.md, "Layers as measured".
#pragma once

#include <string>
#include <vector>

#include "budget/inputs/layer_logs.h"
#include "budget/inputs/length_share.h"

namespace gpumonth::budget {

/// a and b of one pass; at T: a T and b T^2.
struct LayerCoefficients {
  double linear_s_per_token = 0, attention_s_per_token2 = 0;
  double seconds(double tokens) const { return (linear_s_per_token + attention_s_per_token2 * tokens) * tokens; }
};

struct LayerTimes {
  LayerCoefficients forward = {}, all = {};  ///< all: forward and backward
};

/// Half width of the 90 % interval of what a T + b T^2 leaves out, where two lengths leave nothing to judge it by: the
/// same products ran at 641 TFLOP/s in a step at the power limit and at 700 and more alone, 9 % apart, as the clock was
/// (docs/measurements/2026-11-27-h200.md).
constexpr double kStatedModelError = 0.05;

struct LayerFit {
  std::vector<LayerLog> logs = {};     ///< in the order of their tokens
  LayerTimes times = {};               ///< of the medians
  std::vector<LayerTimes> draws = {};  ///< of bootstrapped medians
  std::size_t lengths = 0;             ///< different ones
  double model_error = 0;              ///< half width of the 90 % interval of log(seconds) beside the draws'
  bool has_residual = false;           ///< model_error is from residuals; else it is the stated one
};

/// Least squares of the relative errors of the logs' median steps. Throws UserError: fewer than two lengths; a or b not
/// positive, so that this is not how a block's time grows.
LayerFit fit_layers(std::vector<LayerLog> logs);

/// What it says of blocks of one shape: utilisation without update, data and communication.
struct LayerUtilisation {
  double middle = 0, low = 0, high = 0;  ///< low, high: 90 % of the draws, widened by the model error
};
/// Model FLOPs over `peak_flops_per_s` of a training of samples of these lengths; `recompute`: "none", "linear",
/// "full".
LayerUtilisation utilisation_at(const LayerFit& fit, const model::ModelConfig& model, double peak_flops_per_s,
                                const std::string& recompute, const LengthShares& lengths);

}  // namespace gpumonth::budget
