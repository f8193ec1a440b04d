// What a scenario says of the data it trains on, beside its numbers: scaling laws and a curriculum, read from their files.
#pragma once

#include <string>

#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

/// `file` as `key` of the scenario names it: counted from the scenario; where it is not found there, from the working
/// folder (--set). Throws UserError where neither has it.
std::string file_beside(const Scenario& scenario, const std::string& file, const char* key, const char* what);

/// Reads the laws and the curriculum, and derives data.optimal_tokens from the laws unless it is given: from the lowest
/// to the highest of them at the model's size. Needs the scenario's numbers. Throws UserError where training.data is
/// "law" and something for it is missing.
void set_data(Scenario& scenario);

}  // namespace gpumonth::budget
