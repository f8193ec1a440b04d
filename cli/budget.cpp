#include "budget/budget.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/commands.h"
#include "runlog/reader.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::string scenario;
  std::vector<std::string> runs, overrides;
  bool json = false;
};

std::vector<budget::Efficiency> read_runs(const std::vector<std::string>& paths) {
  std::vector<budget::Efficiency> runs;
  bool usable = paths.empty();
  for (const auto& path : paths) {
    runs.push_back(budget::efficiency_of(runlog::read(path)));
    usable = usable || runs.back().has_mfu();
  }
  if (!usable) user_error("{}: no MFU can be derived: {}", runs.front().path, runs.front().why_unknown);
  return runs;
}

void run(const Options& options) {
  const auto budget = budget::make_budget(budget::load_scenario(options.scenario, options.overrides),
                                          read_runs(options.runs));
  fmt::print("{}", options.json ? to_json_text(budget) : to_text(budget));
}

}  // namespace

void add_budget(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("budget", "the ladder of assumptions: GPU-months, days, money, energy");
  command->footer(
      "SCENARIO.toml holds every assumption with its unit, its source and a tag: published or assumed. The "
      "ladder\n"
      "replaces one after the other, as GPU-months of the scenario's device. Without --runs the utilisation "
      "is the\n"
      "scenario's published one.\n\n"
      "  gpumonth budget configs/scenarios/sora-2024.toml --runs runs/*/run.h5\n"
      "  gpumonth budget configs/scenarios/sora-2024.toml --set training.data_factor=3..6 --set "
      "cost.gpus=4096");
  command->add_option("scenario", options->scenario, "scenario file, see configs/scenarios/")
      ->required()
      ->type_name("SCENARIO.toml");
  command->add_option("--runs", options->runs, "run logs whose MFU is taken; without: the published one")
      ->type_name("RUN.h5");
  add_set_option(*command, options->overrides);
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace gpumonth::cli
