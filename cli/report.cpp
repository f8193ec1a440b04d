#include "report/report.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/number_text.h"
#include "base/standard_output.h"
#include "base/text_file.h"
#include "budget/plan/scaling_basis.h"
#include "budget/plan/sweep.h"
#include "cli/commands.h"
#include "scaling/run_logs.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::vector<std::string> runs, overrides;
  std::string output, scenario, gpus, quality;
  bool force = false;
};

/// With a table of numbers of GPUs around the scenario's own, unless --gpus says which.
budget::Budget make_budget(const Options& options, const std::vector<runlog::Run>& runs) {
  std::vector<budget::Efficiency> efficiencies;
  for (const auto& run : runs) efficiencies.push_back(budget::efficiency_of(run));
  const auto scenario = budget::load_scenario(options.scenario, options.overrides);
  budget::BudgetOptions how{.gpus = parse_gpus(options.gpus), .components = budget::components_of(runs, efficiencies)};
  if (const auto note = note_on_thousands(options.gpus, "--gpus"); !note.empty()) how.notes.push_back(note);
  if (how.gpus.empty()) how.gpus = budget::usual_sweep(scenario);
  return budget::make_budget(scenario, efficiencies, how);
}

void run(const Options& options) {
  check_output(options.output, options.force);
  // a budget is of whole trainings; the page alone shows one rank's share as what it is
  const auto [runs, notes] = scaling::read_run_logs(
      options.runs, options.scenario.empty() ? runlog::Kind::shares_too : runlog::Kind::training);
  std::optional<budget::Budget> budget;
  std::optional<budget::Backtest> known;  // a program copied away from its recipes makes a page without them
  if (!options.scenario.empty() && !budget::shipped_recipes_folder().empty())
    known = budget::backtest(budget::shipped_recipes());
  if (!options.scenario.empty()) budget = make_budget(options, runs);
  std::optional<report::Quality> quality;
  if (!options.quality.empty()) quality = report::read_quality(options.quality);
  write_text_file(options.output,
                  report::report_html(runs, budget ? &*budget : nullptr, known ? &*known : nullptr, notes,
                                      quality ? &*quality : nullptr),
                  options.force);
  print("{}: {} run log{}{}\n", options.output, runs.size(), runs.size() == 1 ? "" : "s",
        budget ? ", " + budget->scenario.title : "");
  for (const auto& note : notes) print("note: {}\n", note);
}

}  // namespace

void add_report(Command app) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command("report", "one self-contained HTML page of runs and budget, with plots");
  command.footer("  gpumonth report runs/*/run.h5 -o report.html --scenario configs/scenarios/sora-2024.toml");
  command.add_option("runs", options->runs, "run logs").required().type_name("RUN.h5");
  command.add_option("-o,--output", options->output, "the page").required().type_name("report.html");
  const Option scenario =
      command.add_option("--scenario", options->scenario, "scenario whose budget is shown too").type_name("S.toml");
  command.add_gpus_option(options->gpus).needs(scenario);
  command
      .add_option("--quality", options->quality,
                  "what gpumonth evaluate -o wrote: its checkpoints side by side, with the sheets beside its samples")
      .type_name("quality.json");
  command.add_flag("--force", options->force, "overwrite the page if it exists");
  command.add_set_option(options->overrides).needs(scenario);
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
