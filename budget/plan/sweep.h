// The same training on several numbers of GPUs.
#pragma once

#include "budget/budget.h"
#include "budget/plan/scaling_basis.h"

namespace gpumonth::budget {

/// A row per number of GPUs, in their order. Where the plan does not fit a row says so; throws UserError
/// where it fits nowhere.
std::vector<SweepRow> sweep(const Scenario& scenario, const Number& utilisation, const ScalingBasis* basis,
                            const std::vector<std::int64_t>& gpus, std::vector<std::string>& notes);

/// An eighth to four times the scenario's GPUs in doublings, whole replicas; empty where it gives none.
std::vector<std::int64_t> usual_sweep(const Scenario& scenario);

}  // namespace gpumonth::budget
