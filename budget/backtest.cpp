#include "budget/backtest.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "base/shipped.h"
#include "budget/bills.h"

namespace gpumonth::budget {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublishedUtilisation = "utilisation.published_mfu";

/// In place of the range of its class, that of the class without its family.
void learn_without_family(Scenario& s, const std::vector<Bill>& bills) {
  const auto learned = class_utilisation(bills, s.utilisation_class, s.family);
  if (!learned)
    user_error("{}: fewer than {} families with bills of the class {} remain without {}: nothing can be learned",
               s.path, kFewestFamilies, s.utilisation_class, s.family);
  const ScenarioKey& key = *scenario_key(kPublishedUtilisation);
  Input& input = s.inputs.at(kPublishedUtilisation);
  input.number.low = learned->low;
  input.number.high = learned->high;
  input.number.tag = Tag::fitted;
  input.distribution = distribution_of(learned->low, learned->median, learned->high, key.min, key.max, "");
  input.source = fmt::format("{} bills of {} families without {}", learned->bills, learned->families, s.family);
}

/// A bill of steps alone is predicted without what stands between them.
void leave_out_stops(Scenario& s) {
  for (const char* key : {"goodput.failure_rate", "goodput.other_stops"}) {
    if (!s.has(key)) continue;
    Input& input = s.inputs.at(key);
    input.number.low = input.number.high = 0;
    input.distribution = distribution_of(0, 0, 0, 0);
  }
}

BacktestRow row_of(Scenario s, const std::vector<Bill>& bills) {
  if (!s.utilisation_class.empty()) learn_without_family(s, bills);
  if (s.bill == "steps") leave_out_stops(s);
  const Budget budget = make_budget(s, {});
  if (budget.rungs.empty() || !budget.rungs.back().is_drawn())
    user_error("{}: no interval can be drawn: give training.samples, cost.gpus and [goodput]", s.path);
  const Rung& last = budget.rungs.back();
  const double hours = s.at("time.days_per_month").low * kHoursPerDay;
  return {.path = s.path,
          .title = s.title,
          .gpus = s.at("cost.gpus").low,
          .predicted_hours = last.draws.median * hours,
          .low_hours = last.gpu_months.low * hours,
          .high_hours = last.gpu_months.high * hours,
          .disclosed_hours = s.at("disclosed.gpu_hours").low,
          .own_benchmark = s.has("utilisation.gpu_seconds"),
          .utilisation_class = s.utilisation_class,
          .family = s.family,
          .bill = s.bill,
          .rung = name(last.id)};
}

Scenario load_recipe(const fs::path& file) {
  Scenario s = load_scenario(file);
  if (!s.has("disclosed.gpu_hours"))
    user_error("{}: is no recipe, disclosed.gpu_hours is not given: add what the training is known to have taken",
               file.string());
  if (!s.utilisation_class.empty()) bill_of(s);  // refuses one without a family, or beyond the peak
  return s;
}

/// The classes that the recipes are of, learned of all bills: what a training that is none of them may expect.
std::vector<ClassUtilisation> classes_of(const std::vector<BacktestRow>& rows, const std::vector<Bill>& bills) {
  std::vector<ClassUtilisation> classes;
  for (const char* name : {"large", "text", "media"}) {
    const bool asked =
        std::any_of(rows.begin(), rows.end(), [&](const auto& r) { return r.utilisation_class == name; });
    if (const auto learned = class_utilisation(bills, name); asked && learned) classes.push_back(*learned);
  }
  return classes;
}

std::string classes_text(const std::vector<ClassUtilisation>& classes) {
  if (classes.empty()) return "";
  std::string out =
      "A class's utilisation is learned from the bills of all other families (docs/method.md, \"Utilisation by "
      "bills\"). Of all:\n";
  for (const auto& c : classes)
    out += fmt::format("  {:<6} {} of the peak, 90 % {} .. {}, {} bills of {} families\n", c.name, percent(c.median),
                       percent(c.low), percent(c.high), c.bills, c.families);
  return out;
}

/// What a row's utilisation comes from, short.
std::string basis_text(const BacktestRow& row) {
  if (row.own_benchmark) return "own";
  return row.utilisation_class.empty() ? "range" : row.utilisation_class;
}

}  // namespace

Backtest backtest(const std::vector<fs::path>& recipes) {
  if (recipes.empty()) user_error("--backtest: there are no recipes: give files, as in configs/published/recipes/");
  Backtest result;
  std::vector<Scenario> loaded;
  for (const auto& file : recipes) loaded.push_back(load_recipe(file));
  const bool learns =
      std::any_of(loaded.begin(), loaded.end(), [](const auto& s) { return !s.utilisation_class.empty(); });
  const auto bills = learns ? shipped_bills() : std::vector<Bill>();
  for (auto& recipe : loaded) result.rows.push_back(row_of(std::move(recipe), bills));
  static_cast<BacktestScore&>(result) = score_of(result.rows);
  result.classes = classes_of(result.rows, bills);
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
  std::string out = fmt::format("{:<37}{:>7}{:>6}{:>11}{:>24}{:>11}{:>7}  {}\n{:-<107}\n", "GPU-hours", "by", "GPUs",
                                "predicted", "90 %", "disclosed", "ratio", "", "");
  for (const auto& row : backtest.rows)
    out += fmt::format("{:<37}{:>7}{:>6}{:>11}{:>24}{:>11}{:>7.2f}  {}\n", row.title.substr(0, 36), basis_text(row),
                       row.gpus, grouped(std::round(row.predicted_hours)),
                       grouped(std::round(row.low_hours)) + " .. " + grouped(std::round(row.high_hours)),
                       grouped(std::round(row.disclosed_hours)), row.ratio(), row.covered() ? "" : "out");
  return out + "\n" + to_text(backtest, backtest.rows.size(), "costs") +
         "by: what the utilisation comes from. own: a benchmark of this training; range: one that the recipe states; "
         "else its class.\n" +
         classes_text(backtest.classes);
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
                    {"class", row.utilisation_class},
                    {"family", row.family},
                    {"bill", row.bill},
                    {"rung", row.rung}});
  Json classes = Json::array();
  for (const auto& c : backtest.classes)
    classes.push_back({{"name", c.name},
                       {"low", c.low},
                       {"median", c.median},
                       {"high", c.high},
                       {"between", c.between},
                       {"within", c.within},
                       {"bills", c.bills},
                       {"families", c.families}});
  Json json = to_json(static_cast<const BacktestScore&>(backtest));
  json["rows"] = rows;
  json["classes"] = classes;
  return json;
}

}  // namespace gpumonth::budget
