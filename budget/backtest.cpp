#include "budget/backtest.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "base/shipped.h"

namespace gpumonth::budget {
namespace {

namespace fs = std::filesystem;

BacktestRow row_of(const fs::path& file) {
  const Scenario s = load_scenario(file);
  if (!s.has("disclosed.gpu_hours"))
    user_error("{}: is no recipe, disclosed.gpu_hours is not given: add what the training is known to have taken",
               file.string());
  const Budget budget = make_budget(s, {});
  if (budget.rungs.empty() || !budget.rungs.back().is_drawn())
    user_error("{}: no interval can be drawn: give training.samples, cost.gpus and [goodput]", file.string());
  const Rung& last = budget.rungs.back();
  const double hours = s.at("time.days_per_month").low * kHoursPerDay;
  return {.path = file.string(),
          .title = s.title,
          .gpus = s.at("cost.gpus").low,
          .predicted_hours = last.draws.median * hours,
          .low_hours = last.gpu_months.low * hours,
          .high_hours = last.gpu_months.high * hours,
          .disclosed_hours = s.at("disclosed.gpu_hours").low,
          .own_benchmark = s.has("utilisation.gpu_seconds"),
          .rung = name(last.id)};
}

}  // namespace

Backtest backtest(const std::vector<fs::path>& recipes) {
  if (recipes.empty()) user_error("--backtest: there are no recipes: give files, as in configs/published/recipes/");
  Backtest result;
  for (const auto& file : recipes) result.rows.push_back(row_of(file));
  static_cast<BacktestScore&>(result) = score_of(result.rows);
  return result;
}

fs::path shipped_recipes_folder() {
  const fs::path folder = shipped_configs() / "published" / "recipes";
  return fs::is_directory(folder) ? folder : fs::path();
}

std::vector<fs::path> shipped_recipes() {
  const fs::path folder = shipped_recipes_folder();
  if (folder.empty())
    user_error("--backtest: configs/published/recipes was not found beside the program: name the files");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string to_text(const Backtest& backtest) {
  std::string out = fmt::format("{:<39}{:>6}{:>11}{:>24}{:>11}{:>7}  {}\n{:-<102}\n", "GPU-hours", "GPUs", "predicted",
                                "90 %", "disclosed", "ratio", "", "");
  for (const auto& row : backtest.rows)
    out += fmt::format("{:<39}{:>6}{:>11}{:>24}{:>11}{:>7.2f}  {}\n",
                       row.title.substr(0, 37) + (row.own_benchmark ? " *" : ""), row.gpus,
                       grouped(std::round(row.predicted_hours)),
                       grouped(std::round(row.low_hours)) + " .. " + grouped(std::round(row.high_hours)),
                       grouped(std::round(row.disclosed_hours)), row.ratio(), row.covered() ? "" : "out");
  return out + "\n" + to_text(backtest, backtest.rows.size(), "costs") +
         "* the recipe has a benchmark of its own; the others' utilisation is what their kind of device has been seen to "
         "reach.\n";
}

Json to_json(const Backtest& backtest) {
  Json rows = Json::array();
  for (const auto& row : backtest.rows)
    rows.push_back({{"path", row.path},
                    {"title", row.title},
                    {"gpus", row.gpus},
                    {"predicted_gpu_hours", row.predicted_hours},
                    {"low", row.low_hours},
                    {"high", row.high_hours},
                    {"disclosed_gpu_hours", row.disclosed_hours},
                    {"ratio", row.ratio()},
                    {"covered", row.covered()},
                    {"own_benchmark", row.own_benchmark},
                    {"rung", row.rung}});
  return {{"rows", rows}, {"median_error", backtest.median_error}, {"coverage", backtest.coverage}};
}

}  // namespace gpumonth::budget
