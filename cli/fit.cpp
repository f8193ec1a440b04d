#include "scaling/fit/fit.h"

#include <fmt/format.h>

#include <memory>

#include "base/config.h"
#include "base/error.h"
#include "base/number_text.h"
#include "base/standard_output.h"
#include "base/text_file.h"
#include "cli/commands.h"
#include "cli/loss.h"
#include "scaling/curve_csv.h"
#include "scaling/curve_of_runs.h"
#include "scaling/fit/components.h"
#include "scaling/fit/fit_json.h"
#include "scaling/fit/learn.h"
#include "scaling/fit/validate.h"
#include "scaling/run_logs.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string csv, curve, predict, export_extrap, export_csv, hold_out;
  std::vector<std::string> validate, learn, leave_out;
  bool json = false, force = false, loss = false, average_seeds = false;
};

scaling::ScalingCurve choose(std::vector<scaling::ScalingCurve> curves, const Options& options) {
  std::vector<std::string> names;
  for (const auto& curve : curves) names.push_back(curve.name);
  if (options.curve.empty()) {
    if (curves.size() == 1) return curves.front();
    user_error("{}: has {} curves: choose one with --curve, e.g. --curve {}", options.csv, curves.size(),
               names.front());
  }
  for (auto& curve : curves)
    if (curve.name == options.curve) return std::move(curve);
  const std::string near = config::nearest(options.curve, names);
  user_error("{}: has no curve '{}'{}", options.csv, options.curve,
             near.empty() ? fmt::format("; the first is '{}'", names.front()) : " (did you mean '" + near + "'?)");
}

std::vector<scaling::ScalingCurve> curves_of(const std::vector<std::string>& tables) {
  std::vector<scaling::ScalingCurve> curves;
  for (const auto& file : tables)
    for (auto& curve : scaling::read_scaling_csv(file)) curves.push_back(std::move(curve));
  return curves;
}

void print_validation(const Options& options) {
  const auto validation = scaling::validate(curves_of(options.validate));
  print("{}", options.json ? gpumonth::to_text(to_json(validation)) : to_text(validation));
}

void print_learned(const Options& options) {
  const auto curves = curves_of(options.learn);
  std::vector<scaling::Learned> learned;
  if (options.leave_out.empty()) learned.push_back(scaling::learn(curves, ""));
  for (const auto& family : options.leave_out) learned.push_back(scaling::learn(curves, family));
  print("{}", options.json ? gpumonth::to_text(to_json(learned)) : to_text(learned));
}

/// Of the others only runs, --hold-out, --average-seeds and --json go with --loss.
void check_loss(const Options& options) {
  if (!options.hold_out.empty() && !options.loss) user_error("--hold-out is of --loss RUN.h5...: give that too");
  if (options.average_seeds && !options.loss) user_error("--average-seeds is of --loss RUN.h5...: give that too");
  if (!options.loss) return;
  for (const auto& [given, name] : {std::pair{!options.csv.empty(), "--csv"},
                                    {!options.validate.empty(), "--validate"},
                                    {!options.learn.empty(), "--learn"},
                                    {!options.predict.empty(), "--predict"},
                                    {!options.export_extrap.empty(), "--export-extrap"},
                                    {!options.export_csv.empty(), "--export-csv"}})
    if (given)
      user_error("{} is of scaling curves, and --loss fits losses against compute: leave one of them out", name);
}

void check_sources(const Options& options) {
  const int sources = !options.runs.empty() + !options.csv.empty() + !options.validate.empty() + !options.learn.empty();
  if (sources != 1) user_error("fit: give either run logs, or --csv FILE, or --validate FILE..., or --learn FILE...");
  if (!options.leave_out.empty() && options.learn.empty())
    user_error("--leave-out is of --learn FILE...: give that too");
  for (const auto& file : options.runs)
    if (file.ends_with(".csv")) user_error("{}: a table and no run log: gpumonth fit --csv {}", file, file);
  if (!options.curve.empty() && options.csv.empty()) user_error("--curve chooses a curve of --csv FILE: give that too");
}

void run(const Options& options) {
  check_loss(options);
  if (options.loss) return print_loss_fit(options.runs, options.hold_out, options.average_seeds, options.json);
  check_sources(options);
  if (!options.validate.empty()) return print_validation(options);
  if (!options.learn.empty()) return print_learned(options);
  for (const auto* file : {&options.export_extrap, &options.export_csv})
    if (!file->empty()) check_output(*file, options.force);
  std::vector<scaling::Target> targets;
  if (!options.predict.empty()) targets = scaling::parse_targets(options.predict);

  scaling::ScalingCurve curve;
  scaling::FitOptions fit_options;
  std::shared_ptr<const scaling::Components> components;
  if (!options.csv.empty()) {
    curve = choose(scaling::read_scaling_csv(options.csv), options);
  } else {
    const auto logs = scaling::read_run_logs(options.runs);
    curve = scaling::curve_of_runs(logs.runs);
    curve.notes.insert(curve.notes.end(), logs.notes.begin(), logs.notes.end());
    components =
        std::make_shared<const scaling::Components>(scaling::fit_components(scaling::runs_that_count(logs.runs)));
    fit_options.components = scaling::step_model(components);
    curve.notes.insert(curve.notes.end(), components->notes.begin(), components->notes.end());
  }
  if (const auto note = note_on_thousands(options.predict, "--predict"); !note.empty()) curve.notes.push_back(note);
  const auto fit = scaling::fit_curve(curve, fit_options);
  if (targets.empty()) targets = scaling::default_targets(fit);
  if (options.json) {
    Json json = scaling::to_json(fit, targets);
    if (components) json["components"] = scaling::to_json(*components);
    print("{}", gpumonth::to_text(json));
  } else {
    print("{}{}", scaling::to_text(fit, targets), components ? fmt::format("\n{}", scaling::to_text(*components)) : "");
  }
  if (!options.export_extrap.empty())
    write_text_file(options.export_extrap, scaling::to_extrap(fit.curve()), options.force);
  if (!options.export_csv.empty()) write_text_file(options.export_csv, scaling::to_csv(fit.curve()), options.force);
}

}  // namespace

void add_fit(Command app) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command("fit", "scaling curve, fitted model, prediction with interval");
  command.footer(
      "The curve comes from run logs, or from a table with the columns "
      "ranks,samples_per_s[,batch_per_rank,run,unit]: the throughput of all ranks, or with the unit "
      "tokens/s/GPU of "
      "one.\n"
      "Several rows per rank count are repeats. The 90 % interval is that of one more measurement.\n\n"
      "  gpumonth fit runs/*/run.h5 --predict 64,512:4\n"
      "  gpumonth fit --csv sweep.csv --predict 1024 --json\n"
      "  gpumonth fit --csv configs/published/scaling.csv --curve mlperf_flux1_b200_v5.1_uflorida\n"
      "  gpumonth fit --validate configs/published/scaling.csv\n"
      "  gpumonth fit --learn configs/published/scaling*.csv --leave-out InternEvo mlperf_v4\n\n"
      "With --loss: the loss that size and data buy, L(N, D) = E + A/N^a + B/D^b, and the best size of each compute, from run "
      "logs\nof several sizes and budgets (jobs/isoflop.sh makes them) or from the quality.json of gpumonth evaluate.\n\n"
      "  gpumonth fit --loss runs/isoflop/*/run*.h5 --hold-out largest\n"
      "  gpumonth fit --loss runs/isoflop/quality.json --json > law.json       (a scenario's data.laws takes that file)");
  command.add_option("runs", options->runs, "run logs; with --loss also quality.json").type_name("RUN.h5");
  command.add_option("--csv", options->csv, "a table instead of run logs").type_name("FILE");
  command.add_option("--curve", options->curve, "which curve of a table that has several").type_name("NAME");
  command
      .add_option("--predict", options->predict,
                  "ranks, with the batch per rank in samples where it differs; default: 2, 4 and 8 times the most "
                  "ranks")
      .type_name("N[:BATCH],...");
  command
      .add_option("--validate", options->validate,
                  "cut every curve of tables, forecast the rest, and compare with ideal, Amdahl, USL and Extra-P")
      .type_name("FILE...");
  command
      .add_option("--learn", options->learn,
                  "find the constants of the fit anew from tables of curves; a minute a family that is left out")
      .type_name("FILE...");
  command
      .add_option("--leave-out", options->leave_out, "families of curves that --learn leaves out, one after the other")
      .type_name("FAMILY...");
  command.add_flag("--loss", options->loss, "loss against compute instead of speed against ranks");
  command
      .add_option(
          "--hold-out", options->hold_out,
          "what --loss forecasts from the other runs and compares: the runs of the largest size, of the largest budget of "
          "compute, or of a size in parameters")
      .type_name("largest|largest-budget|N,...");
  command.add_flag(
      "--average-seeds", options->average_seeds,
      "of --loss: runs of one size with the same data and compute are seeds of one point, and their mean loss stands "
      "for it");
  command.add_option("--export-extrap", options->export_extrap, "write the curve as Extra-P text").type_name("FILE");
  command.add_option("--export-csv", options->export_csv, "write the curve as CSV").type_name("FILE");
  command.add_flag("--force", options->force, "overwrite exported files");
  command.add_json_flag(options->json);
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
