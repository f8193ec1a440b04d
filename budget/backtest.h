// Trainings whose cost is known, through the same budget code: how good a budget would have been.
//
// A recipe is a scenario (configs/published/recipes/) with disclosed.gpu_hours. What the recipe does not say
// stands in it as an assumption with a range. Where its utilisation is that of a class, that is learned from the bills of
// other families (budget/class_utilisation.h): no bill of the recipe's own family is in its prediction.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "budget/backtest_score.h"
#include "budget/budget.h"
#include "budget/class_utilisation.h"

namespace gpumonth::budget {

struct BacktestRow {
  std::string path, title;
  double gpus = 0;
  double predicted_hours = 0, low_hours = 0, high_hours = 0;  ///< GPU-hours: median and 90 %
  double disclosed_hours = 0;
  bool own_benchmark = false;     ///< the recipe has a throughput of its own; else the utilisation is a general one
  std::string utilisation_class;  ///< of whose bills the utilisation is learned; empty: it is of none
  std::string family, bill;       ///< as Scenario has them
  std::string rung;               ///< the last one, which predicts
  double ratio() const { return predicted_hours / disclosed_hours; }
  bool covered() const { return low_hours <= disclosed_hours && disclosed_hours <= high_hours; }
  double width() const { return high_hours / low_hours; }
  /// Disclosed over the nearer end of the interval that it is outside of, or its inverse: 1 inside, else above.
  double miss() const { return std::max({1.0, low_hours / disclosed_hours, disclosed_hours / high_hours}); }
};

struct Backtest : BacktestScore {
  std::vector<BacktestRow> rows;
  std::vector<ClassUtilisation> classes;  ///< that the rows are of, learned of all bills
};

/// Throws UserError: a file that is no scenario, one without disclosed.gpu_hours, cost.gpus or [goodput], one with a class
/// and no disclosed.family, no file.
Backtest backtest(const std::vector<std::filesystem::path>& recipes);

/// configs/published/recipes beside the program; empty where there is none.
std::filesystem::path shipped_recipes_folder();
/// Every recipe that the program came with, in the order of their names. Throws UserError where there are none.
std::vector<std::filesystem::path> shipped_recipes();

std::string to_text(const Backtest& backtest);
Json to_json(const Backtest& backtest);

}  // namespace gpumonth::budget
