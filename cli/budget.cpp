#include "budget/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/number_text.h"
#include "base/standard_output.h"
#include "budget/backtest.h"
#include "budget/plan/scaling_basis.h"
#include "budget/sampling_backtest.h"
#include "cli/commands.h"
#include "scaling/run_logs.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::string scenario;
  std::vector<std::string> runs, overrides;
  std::string gpus;
  std::vector<std::string> recipes;
  bool json = false;
};

void run_backtest(const Options& options) {
  if (!options.scenario.empty())
    user_error("{}: a back-test takes no scenario: name recipes behind --backtest", options.scenario);
  std::vector<std::filesystem::path> files, tables;  // recipes of trainings; sampling times
  for (const auto& given : options.recipes)
    if (!given.empty())  // CLI11 has one empty value for --backtest alone
      (std::filesystem::path(given).extension() == ".csv" ? tables : files).push_back(given);
  if (files.empty() && tables.empty()) {
    files = budget::shipped_recipes();
    if (const auto table = budget::shipped_sampling_table(); !table.empty()) tables.push_back(table);
  }
  Json json = Json::object();
  std::string text;
  if (!files.empty()) {
    const auto result = budget::backtest(files);
    json = to_json(result);
    text = to_text(result);
  }
  for (const auto& table : tables) {
    const auto result = budget::sampling_backtest(table);
    json["sampling"].push_back(to_json(result));
    if (!text.empty()) text += "\n";
    text += to_text(result);
  }
  print("{}", options.json ? gpumonth::to_text(json) : text);
}

void run(const Options& options) {
  if (options.scenario.empty())
    user_error("budget: give a scenario, as configs/scenarios/sora-2024.toml, or --backtest");
  budget::BudgetOptions how{.gpus = parse_gpus(options.gpus)};
  if (const auto note = note_on_thousands(options.gpus, "--gpus"); !note.empty()) how.notes.push_back(note);
  const auto scenario = budget::load_scenario(options.scenario, options.overrides);
  auto logs = scaling::read_run_logs(options.runs, runlog::Kind::any);
  const auto sampled = std::stable_partition(logs.runs.begin(), logs.runs.end(),
                                             [](const runlog::Run& run) { return !run.info.sampling; });
  for (auto run = sampled; run != logs.runs.end(); ++run) how.sampled.push_back(budget::sampled_run(*run));
  logs.runs.erase(sampled, logs.runs.end());
  std::vector<budget::Efficiency> efficiencies;
  bool usable = logs.runs.empty();
  for (const auto& run : logs.runs) {
    efficiencies.push_back(budget::efficiency_of(run));
    usable = usable || efficiencies.back().has_mfu();
  }
  if (!usable) user_error("{}: no MFU can be derived: {}", efficiencies.front().path, efficiencies.front().why_unknown);
  how.components = budget::components_of(logs.runs, efficiencies);
  auto budget = budget::make_budget(scenario, efficiencies, how);
  budget.notes.insert(budget.notes.end(), logs.notes.begin(), logs.notes.end());
  print("{}", options.json ? to_json_text(budget) : to_text(budget));
}

}  // namespace

void add_budget(Command app) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command("budget", "the ladder of assumptions: GPU-months, days, money, energy");
  command.footer(
      "SCENARIO.toml holds every assumption with its unit, its source and a tag: published or assumed. The "
      "ladder\n"
      "replaces one after the other, as GPU-months of the scenario's device. Without --runs the utilisation "
      "is the\n"
      "scenario's published one.\n\n"
      "  gpumonth budget configs/scenarios/sora-2024.toml --runs runs/*/run.h5\n"
      "  gpumonth budget configs/scenarios/sora-2024.toml --gpus 512,1024,2048,4096,8192,16384\n"
      "  gpumonth budget --backtest\n"
      "  gpumonth budget configs/scenarios/sora-2024.toml --set data.overtraining=2..8 --set "
      "cost.gpus=4096");
  command.add_option("scenario", options->scenario, "scenario file, see configs/scenarios/").type_name("SCENARIO.toml");
  command
      .add_option("--runs", options->runs,
                  "run logs whose MFU is taken, or whose layers where they are of the scenario's width at two lengths; "
                  "without: the published one. Those of gpumonth sample say what inference reaches")
      .type_name("RUN.h5");
  command.add_gpus_option(options->gpus);
  command.add_set_option(options->overrides);
  command.add_json_flag(options->json);
  const Option backtest = command
                              .add_option("--backtest", options->recipes,
                                          "instead: recipes whose cost is known, predicted against "
                                          "disclosed, and tables of sampling times (.csv); without files: the "
                                          "shipped ones")
                              .type_name("RECIPE.toml")
                              .expected(0, 1000);
  command.run([options, backtest] { backtest.given() ? run_backtest(*options) : run(*options); });
}

}  // namespace gpumonth::cli
