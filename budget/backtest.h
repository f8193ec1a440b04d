// Trainings whose cost is known, through the same budget code: how good a budget would have been.
//
// A recipe is a scenario (configs/published/recipes/) with disclosed.gpu_hours. What the recipe does not say
// stands in it as an assumption with a range. Nothing is fitted to the disclosed cost.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "budget/backtest_score.h"
#include "budget/budget.h"

namespace gpumonth::budget {

struct BacktestRow {
  std::string path, title;
  double gpus = 0;
  double predicted_hours = 0, low_hours = 0, high_hours = 0;  ///< GPU-hours: median and 90 %
  double disclosed_hours = 0;
  bool own_benchmark = false;  ///< the recipe has a throughput of its own; else the utilisation is a general one
  std::string rung;            ///< the last one, which predicts
  double ratio() const { return predicted_hours / disclosed_hours; }
  bool covered() const { return low_hours <= disclosed_hours && disclosed_hours <= high_hours; }
};

struct Backtest : BacktestScore {
  std::vector<BacktestRow> rows;
};

/// Throws UserError: a file that is no scenario, one without disclosed.gpu_hours, cost.gpus or [goodput], no file.
Backtest backtest(const std::vector<std::filesystem::path>& recipes);

/// configs/published/recipes beside the program; empty where there is none.
std::filesystem::path shipped_recipes_folder();
/// Every recipe that the program came with, in the order of their names. Throws UserError where there are none.
std::vector<std::filesystem::path> shipped_recipes();

std::string to_text(const Backtest& backtest);
Json to_json(const Backtest& backtest);

}  // namespace gpumonth::budget
