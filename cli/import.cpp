#include <fmt/format.h>

#include <memory>

#include "base/standard_output.h"
#include "base/text_file.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "exchange/mllog_curve.h"
#include "scaling/curve_csv.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::vector<std::string> mllogs;
  exchange::MllogOptions mllog;
  std::string output;
  bool force = false;
};

void run(const Options& options) {
  check_output(options.output, options.force);
  const auto curve = exchange::curve_of_mllogs(options.mllogs, options.mllog);
  write_text_file(options.output, scaling::to_csv(curve), options.force);
  std::vector<std::vector<std::string>> rows{{"ranks", "batch/rank", curve.unit, "of one rank", "from"}};
  for (const auto& p : curve.points)
    rows.push_back({fmt::to_string(p.ranks), fmt::format("{:g}", p.batch_per_rank),
                    fmt::format("{:.6g}", p.samples_per_s),
                    fmt::format("{:.4g}", p.samples_per_s / static_cast<double>(p.ranks)), p.run});
  print("{}: {}\n{}", options.output, curve.name, table_text(rows));
  for (const auto& note : curve.notes) print("note: {}\n", note);
}

}  // namespace

void add_import(Command app) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command("import", "result logs of MLPerf Training as a scaling curve that fit reads");
  command.footer(
      "The number of accelerators comes from the log, from the submission's systems/*.json, or stands before the\n"
      "name.\n"
      "A point is the median over the blocks of its successful runs, without each run's first block.\n\n"
      "  gpumonth import --mllog training_results/Org/results/*/flux1/result_*.txt -o flux1.csv\n"
      "  gpumonth import --mllog 16:logs/two-nodes 32:logs/four-nodes -o flux1.csv\n"
      "  gpumonth fit --csv flux1.csv --predict 1024");
  command.add_option("--mllog", options->mllogs, "result logs with :::MLLOG lines, or folders of them")
      .required()
      .type_name("[RANKS:]FILE");
  command.add_option("-o,--output", options->output, "the table to write").required().type_name("CURVE.csv");
  command.add_flag("--each-run", options->mllog.each_run, "a row for each run instead of one for its point");
  command.add_option("--unit", options->mllog.unit, "unit of the throughput that the logs have; default: samples/s")
      .type_name("UNIT");
  command.add_flag("--force", options->force, "overwrite the table if it exists");
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
