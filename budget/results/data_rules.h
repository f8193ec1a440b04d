// The training by both rules of the data (training.data), side by side: the article's samples, and tokens by law.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "budget/ladder/ladder.h"

namespace gpumonth::budget {

struct DataSide {
  std::string rule;     ///< "article" or "law"
  Spread compute_flop;  ///< before the batch's part
  Spread gpu_months;    ///< at the last rung, all else being the same, draw by draw
};

struct DataRules {
  std::string chosen;           ///< the rule that the budget goes by
  std::string rung;             ///< whose GPU-months these are: "goodput"
  std::vector<DataSide> sides;  ///< article, law
  std::string why;              ///< a sentence: why they differ
};

/// Nothing where the scenario does not say enough for both. `sample`: the budget's draws; `training` may be nullptr, the
/// GPU-months are then those of measured-mfu.
std::optional<DataRules> data_rules(const Scenario& scenario, const Sample& sample, const TrainingPlan* training,
                                    const std::vector<Rung>& rungs);

}  // namespace gpumonth::budget
