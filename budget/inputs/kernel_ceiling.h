// The utilisation that no training exceeds: its blocks' products and attention at the rates of the best published
// kernels, and nothing else in between. docs/method.md, "What kernels allow".
#pragma once

#include <optional>
#include <string>

#include "budget/inputs/length_share.h"
#include "model/config.h"
#include "model/hardware.h"

namespace gpumonth::budget {

/// Whether the device's file has rates of kernels; without any nothing is bounded.
bool has_kernel_rates(const model::Hardware& hardware);

/// Model FLOPs over peak at these lengths, with `recompute` ("none", "linear", "full"). Needs has_kernel_rates.
double kernel_ceiling(const model::Hardware& hardware, const model::ModelConfig& model, const std::string& recompute,
                      const LengthShares& lengths);

}  // namespace gpumonth::budget
