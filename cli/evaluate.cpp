// gpumonth evaluate CKPT...: validation losses and the quality of samples, on the ranks of the launcher, or alone.
#include "trainer/quality/evaluate.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "base/format.h"
#include "base/standard_output.h"
#include "base/text_file.h"
#include "cli/commands.h"
#include "cli/network_options.h"
#include "cli/output.h"
#include "comm/launch.h"

namespace gpumonth::cli {
namespace {

struct Options {
  trainer::EvaluateOptions evaluate;
  comm::CommOptions comm{.watchdog_s = 0};
  std::string output;
  bool json = false, force = false;
};

std::string with_error(const trainer::MeanLoss& loss) {
  return fmt::format("{:.5f} +- {:.5f}", loss.loss, loss.standard_error);
}

void print_checkpoints(const trainer::Evaluation& e) {
  std::vector<std::vector<std::string>> rows = {
      {"checkpoint", "step", "samples seen", "FLOPs", "validation loss", "difference from first"}};
  for (const auto& q : e.checkpoints)
    rows.push_back({q.run.checkpoint.string(), fmt::format("{}", q.run.info.step),
                    compact(static_cast<double>(q.run.samples_seen())), scientific(q.run.model_flops()),
                    with_error(q.validation), rows.size() == 1 ? "" : with_error(q.difference)});
  print("{}\n", table_text(rows));
}

void print_noise_levels(const trainer::Evaluation& e) {
  std::vector<std::vector<std::string>> rows = {{"t"}};
  for (const auto& q : e.checkpoints)
    rows.front().push_back(fmt::format("{}, step {}", q.run.config.run.name, q.run.info.step));
  for (std::size_t level = 0; level < e.checkpoints.front().validation.by_noise_level.size(); ++level) {
    const auto& of_first = e.checkpoints.front().validation.by_noise_level[level];
    rows.push_back({fmt::format("{} - {}", of_first.t_from, of_first.t_to)});
    for (const auto& q : e.checkpoints) rows.back().push_back(with_error(q.validation.by_noise_level[level]));
  }
  print("{}\n", table_text(rows));
}

void print_samples(const trainer::Evaluation& e) {
  std::vector<std::vector<std::string>> rows = {
      {"samples", "count", "sampler", "Frechet distance", "90 %", "floor", "labels read right"}};
  for (const auto& q : e.samples)
    rows.push_back({q.file.string(), fmt::format("{}", q.count),
                    fmt::format("{}, {} steps, guidance {:g}", q.sampler, q.steps, q.guidance),
                    fmt::format("{:.4g}", q.frechet.distance),
                    fmt::format("{:.4g} .. {:.4g}", q.frechet.low, q.frechet.high),
                    fmt::format("{:.4g}", q.frechet.floor),
                    std::isfinite(q.labels_read_right) ? percent(q.labels_read_right) : "n/a"});
  print("{}\n", table_text(rows));
}

void print_text(const trainer::Evaluation& e) {
  if (!e.checkpoints.empty()) {
    const auto& first = e.checkpoints.front();
    print("{} held-out samples, {} weights; +- is a standard error\n\n", first.samples,
          e.weights == "ema" ? "EMA" : "plain");
    print_checkpoints(e);
    print_noise_levels(e);
  }
  if (!e.samples.empty()) print_samples(e);
  for (const std::string& note : e.notes) print("note: {}\n", note);
}

void run(const Options& options) {
  if (!options.output.empty()) check_output(options.output, options.force);
  comm::Environment environment;
  const auto transport = environment.make_transport(options.comm);
  const trainer::Evaluation evaluation = trainer::evaluate(options.evaluate, *transport);
  if (transport->ranks().rank() != 0) return;
  if (!options.output.empty()) write_text_file(options.output, to_json_text(evaluation), options.force);
  if (options.json)
    print("{}", to_json_text(evaluation));
  else
    print_text(evaluation);
}

void add_what(Command command, Options& options) {
  trainer::EvaluateOptions& o = options.evaluate;
  command.add_option("CKPT", o.checkpoints, "checkpoints of gpumonth train; the others are compared with the first")
      .type_name("");
  command.add_option("--samples", o.samples, "what gpumonth sample wrote from models of the procedural set")
      .type_name("samples.h5 ...");
  command.add_option("--data", o.data, "held-out latents, as data.path takes them; without: of the procedural set")
      .type_name("FILE");
  add_weights_option(command, o);
  command.add_option("--count", o.count, "held-out samples; 1000: one at each timestep")
      .type_name("N")
      .range(trainer::kFewestValidationSamples, std::int64_t{1} << 24)
      .show_default();
}

}  // namespace

void add_evaluate(Command app) {
  Command command = app.add_command("evaluate", "validation losses of checkpoints, and the quality of their samples");
  const auto options = std::make_shared<Options>();
  add_what(command, *options);
  command.add_option("-o,--output", options->output, "writes the JSON too, for report --quality")
      .type_name("quality.json");
  command.add_flag("--force", options->force, "overwrite the JSON if it exists");
  command.add_json_flag(options->json);
  add_network_options(command, options->evaluate, options->comm);
  command.footer(
      "Every checkpoint meets the same samples, noise and timesteps, none of which a training sees. Under mpirun or srun\n"
      "they are shared out over ranks, and the losses are the same on any number of them. docs/sampling.md, \"Quality\",\n"
      "has the formulas, the drawings' features and the JSON.\n\n"
      "  gpumonth evaluate runs/a/checkpoint-100.h5 runs/b/checkpoint-400.h5\n"
      "  gpumonth evaluate runs/*/checkpoint-*.h5 --samples runs/*/samples/samples.h5 -o quality.json\n"
      "  mpirun --bind-to none -n 2 gpumonth evaluate checkpoint.h5 --data held-out.h5 --json");
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
