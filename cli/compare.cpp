#include "scaling/compare/compare.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/standard_output.h"
#include "base/text_file.h"
#include "cli/commands.h"
#include "report/compare_figure.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::vector<std::string> sets;
  std::string curve_a, curve_b, plot;
  bool json = false, force = false;
};

void run(const Options& options) {
  if (options.sets.size() != 2)
    user_error(
        "compare takes two sets of runs, A and B, and was given {}: put a glob in quotes, and commas between "
        "files",
        options.sets.size());
  if (!options.plot.empty()) check_output(options.plot, options.force);
  const auto comparison = scaling::compare(scaling::read_run_set(options.sets[0], options.curve_a),
                                           scaling::read_run_set(options.sets[1], options.curve_b));
  if (!options.plot.empty()) write_text_file(options.plot, report::to_svg(comparison), options.force);
  print("{}", options.json ? to_json_text(comparison) : to_text(comparison));
}

}  // namespace

void add_compare(Command app) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command("compare", "scaling efficiency of two sets of runs, with a test of the difference");
  command.footer(
      "A and B are each a folder that jobs/sweep.sh wrote, a run log, a glob in quotes, several of these "
      "with commas\n"
      "between, or a table with the columns ranks,samples_per_s[,batch_per_rank,run]. Runs repeat: three of "
      "every point\n"
      "or more make narrow intervals. Intervals are 90 %; a difference is found at the 10 % level.\n\n"
      "  gpumonth compare runs/cluster-a runs/cluster-b --plot compare.svg\n"
      "  gpumonth compare 'runs/old/*/run*.h5' 'runs/new/*/run*.h5' --json\n"
      "  gpumonth compare a.csv b.csv");
  command.add_option("sets", options->sets, "the two sets of runs").required().type_name("A B").option_text("A B");
  command.add_option("--curve-a", options->curve_a, "which curve of table A, where it has several").type_name("NAME");
  command.add_option("--curve-b", options->curve_b, "which curve of table B").type_name("NAME");
  command.add_option("--plot", options->plot, "writes the efficiencies and their difference as a figure")
      .type_name("FILE.svg");
  command.add_flag("--force", options->force, "overwrite the figure if it exists");
  command.add_json_flag(options->json);
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
