#include "budget/report.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "budget/text_file.h"
#include "cli/commands.h"
#include "runlog/reader.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::vector<std::string> runs, overrides;
  std::string output, scenario;
  bool force = false;
};

void run(const Options& options) {
  budget::check_output(options.output, options.force);
  std::vector<runlog::Run> runs;
  std::vector<budget::Efficiency> efficiencies;
  for (const auto& path : options.runs) {
    runs.push_back(runlog::read(path));
    efficiencies.push_back(budget::efficiency_of(runs.back()));
  }
  std::optional<budget::Budget> budget;
  if (!options.scenario.empty())
    budget = budget::make_budget(budget::load_scenario(options.scenario, options.overrides), efficiencies);
  budget::write_text_file(options.output, budget::report_html(runs, budget ? &*budget : nullptr),
                          options.force);
  fmt::print("{}: {} run log{}{}\n", options.output, runs.size(), runs.size() == 1 ? "" : "s",
             budget ? ", " + budget->scenario.title : "");
}

}  // namespace

void add_report(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("report", "one self-contained HTML page of runs and budget, with plots");
  command->footer(
      "  gpumonth report runs/*/run.h5 -o report.html --scenario configs/scenarios/sora-2024.toml");
  command->add_option("runs", options->runs, "run logs")->required()->type_name("RUN.h5");
  command->add_option("-o,--output", options->output, "the page")->required()->type_name("report.html");
  CLI::Option* scenario =
      command->add_option("--scenario", options->scenario, "scenario whose budget is shown too")
          ->type_name("S.toml");
  command->add_flag("--force", options->force, "overwrite the page if it exists");
  add_set_option(*command, options->overrides)->needs(scenario);
  command->callback([options] { run(*options); });
}

}  // namespace gpumonth::cli
