// The same training on several numbers of GPUs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "budget/inputs/number.h"
#include "budget/inputs/scenario.h"
#include "budget/plan/scaling_basis.h"

namespace gpumonth::budget {

/// The same training on another number of GPUs; low .. high are 90 % of the draws.
struct SweepRow {
  std::int64_t gpus = 1;
  std::string refused = {};  ///< why the plan does not work there, nothing else is known then; else empty
  std::string plan = {};     ///< "full sharding, 1 sample per GPU"
  double global_batch = 0;   ///< samples per step
  Number efficiency = {}, samples_factor = {}, goodput = {};  ///< unknown where their inputs are missing
  Number gpu_months = {}, days = {}, usd = {}, energy_mwh = {};
  double gpu_months_median = 0, days_median = 0;
};

/// A row per number of GPUs, in their order. Where the plan does not fit a row says so; throws UserError
/// where it fits nowhere.
std::vector<SweepRow> sweep(const Scenario& scenario, const Number& utilisation, const ScalingBasis* basis,
                            const std::vector<std::int64_t>& gpus, std::vector<std::string>& notes);

/// An eighth to four times the scenario's GPUs in doublings, whole replicas; empty where it gives none.
std::vector<std::int64_t> usual_sweep(const Scenario& scenario);

}  // namespace gpumonth::budget
