// What an input of the budget is called in running text and in figures.
#pragma once

#include <string>

namespace gpumonth::budget {

/// The first words of its key's help in scenario_keys.cpp; words of their own for what a budget derives; else
/// `input` itself.
std::string input_words(const std::string& input);

}  // namespace gpumonth::budget
