// The planned training on N GPUs: its memory checked, its draws made. The rungs scaling and goodput, costs
// and the sweep over N read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "budget/inputs/memory_plan.h"
#include "budget/plan/simulation.h"

namespace gpumonth::budget {

struct TrainingPlan {
  std::int64_t gpus = 1;
  MemoryPlan plan;                    ///< never auto
  std::optional<MemoryNeed> memory;   ///< nothing: not checked, a note says why
  std::vector<model::SentPart> sent;  ///< by a GPU in a step; nothing where the memory was not checked
  const ScalingBasis* basis = nullptr;
  Number utilisation;  ///< at the basis' reference
  Simulation simulation;
  Sample sample;    ///< the draws
  Outcome outcome;  ///< of these
};

/// `gpus` GPUs with the scenario's plan, or the least that fits where its sharding is auto. Throws UserError,
/// with the smallest change that fits, where the plan does not; where `gpus` is no multiple of replica_gpus;
/// where nothing fits.
TrainingPlan make_training_plan(const Scenario& scenario, const Number& utilisation, const ScalingBasis* basis,
                                std::int64_t gpus, std::vector<std::string>& notes);

/// A column as a number: 5 % and 95 % quantile, provenance of `from`.
Number drawn(const Column& column, const Number& from, const std::string& unit, const std::string& formula);

}  // namespace gpumonth::budget
