// What a curve of another model says about this one. Exchange over compute goes with parameters per FLOP that a GPU does
// in a step; stragglers do not, and are carried over as they are. docs/method.md, "scaling: carried over".
#pragma once

#include <cstdint>

#include "budget/inputs/scenario.h"
#include "budget/plan/scaling_basis.h"

namespace gpumonth::budget {

/// How what lies around the rule is called among what is drawn: half to twice.
constexpr const char* kTransferInput = "scaling transfer";
constexpr double kTransferLow = 0.5, kTransferHigh = 2;

/// Whether a loss is carried over and nobody says what of it (scaling.transfer): then kTransferInput is drawn.
bool draws_transfer(const Scenario& scenario, const ScalingBasis* basis);

/// Whether that is around the rule: the basis is a published curve, and scaling.curve_parameters and
/// curve_flop_per_sample describe its model, and this one's parameters are known. Else around 1.
bool has_transfer_rule(const Scenario& scenario, const ScalingBasis* basis);

/// Parameters over FLOP per GPU and step of the curve's model on `gpus`, where the rule holds. Throws UserError where the
/// curve has no batch per GPU.
double curve_parameters_per_flop(const Scenario& scenario, const ScalingBasis& basis, std::int64_t gpus);

}  // namespace gpumonth::budget
