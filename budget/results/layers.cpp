// Layers as measured, number by number: their fit, and the MFU at every length of samples.
#include <fmt/format.h>

#include <algorithm>

#include "base/format.h"
#include "base/quantile.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

constexpr double kMicro = 1e6, kNano = 1e9;

/// 90 % of the draws of one coefficient of forward and backward.
Number coefficient(const MeasuredLayers& layers, double LayerCoefficients::*which, double scale, const char* unit) {
  std::vector<double> drawn;
  for (const auto& times : layers.fit.draws) drawn.push_back(std::max(0.0, times.all.*which) * scale);
  Number number = layers.without_recompute.as(unit, "least squares of relative errors over the logs' median steps");
  number.low = quantile(drawn, 0.05);
  number.high = quantile(drawn, 0.95);
  return number;
}

}  // namespace

Group layers_group(const MeasuredLayers* layers) {
  if (layers == nullptr) return {};
  Group group{.id = "layers",
              .title = fmt::format("Layers as measured at {}: a T + b T^2", measured_lengths(layers->fit)),
              .lines = {}};
  group.lines.push_back({"a_us_per_token", "a, per block and token, forward and backward",
                         coefficient(*layers, &LayerCoefficients::linear_s_per_token, kMicro, "us")});
  group.lines.push_back({"b_ns_per_token2", "b, per block and square of the tokens",
                         coefficient(*layers, &LayerCoefficients::attention_s_per_token2, kNano, "ns")});
  for (std::size_t i = 0; i < layers->lengths.size(); ++i) {
    const LengthShare& length = layers->lengths[i];
    group.lines.push_back(
        {"mfu_" + length.id,
         fmt::format("MFU at {} tokens, {} of the FLOPs", grouped(length.tokens), percent(length.flop_share)),
         layers->mfu[i]});
  }
  group.lines.push_back({"mfu", "MFU of the training", layers->utilisation});
  group.lines.push_back({"mfu_without_recompute", "  if nothing were computed again", layers->without_recompute});
  return group;
}

}  // namespace gpumonth::budget
