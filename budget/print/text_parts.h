// Pieces of the text for a terminal of 100 columns.
#pragma once

#include <string>

#include "budget/budget.h"

namespace gpumonth::budget {

/// A blank line, the text, and a rule below.
std::string heading(const std::string& text);
/// The table of --gpus; empty without one.
std::string sweep_text(const Budget& budget);
/// Shares of the variance; empty where nothing varies.
std::string shares_text(const Budget& budget);
/// "training.data_factor (61 %), ...": the first three, named by `name` where given.
std::string most_important(const std::vector<InputShare>& shares, const char* separator = ", ",
                           std::string (*name)(const std::string& input) = nullptr);

}  // namespace gpumonth::budget
