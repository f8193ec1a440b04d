// gpumonth sample CKPT: samples from a checkpoint, on the ranks of the launcher, or alone.
#include "trainer/sample/sample.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/standard_output.h"
#include "cli/checkpoint_model.h"
#include "cli/commands.h"
#include "cli/network_options.h"
#include "comm/launch.h"
#include "runlog/reader.h"
#include "runlog/sampling_cost.h"

namespace gpumonth::cli {
namespace {

constexpr int kConsistencySteps = 4;

struct Options {
  trainer::SampleOptions sample;
  comm::CommOptions comm{.watchdog_s = 0};
  CheckpointModel model;
  std::string sampler = "ddpm";
  std::optional<Option> steps, guidance;  // as they were declared
  bool no_sheet = false, no_gemm_peak = false;
};

void print_result(const trainer::SampleResult& result, std::int64_t count) {
  const runlog::Run log = runlog::read(result.run_log, runlog::Kind::any);
  const std::string cost = to_text(runlog::sampling_cost(log), log.info);
  if (!cost.empty()) print("{}\n", cost);
  print("done: {} samples in {:.4g} s: {}{}; log {}\n", count, result.wall_s, result.samples.string(),
        result.sheet.empty() ? "" : ", " + result.sheet.string(), result.run_log.string());
}

void run(Options options) {
  trainer::SampleOptions& o = options.sample;
  o.sampler = trainer::sampler_named(options.sampler);
  if (o.sampler == trainer::Sampler::consistency) {
    if (!options.steps->given()) o.steps = kConsistencySteps;
    if (!options.guidance->given()) o.guidance = 1;
  }
  o.sheet = !options.no_sheet;
  o.measure_gemm_peak = !options.no_gemm_peak;
  const model::ModelConfig model = options.model.load(o.checkpoint);
  comm::Environment environment;
  const auto transport = environment.make_transport(options.comm);
  const trainer::SampleResult result = trainer::sample(model, o, *transport);
  if (transport->ranks().rank() == 0) print_result(result, o.count);
}

void add_what(Command command, Options& options) {
  trainer::SampleOptions& o = options.sample;
  add_weights_option(command, o);
  options.model.add_to(command);
  command.add_option("--count", o.count, "samples").type_name("N").range(1, 1 << 24).show_default();
  command
      .add_option("--labels", o.labels,
                  "their labels, again and again; null: the null label; without: every class in turn")
      .type_name("L,...");
  command.add_option("--seed", o.seed, "of the noise: the same seed, the same samples").type_name("N").show_default();
}

void add_how(Command command, Options& options) {
  trainer::SampleOptions& o = options.sample;
  command.add_option("--sampler", options.sampler, "ddim: eta 0; consistency: of a consistency model, and only of one")
      .type_name("NAME")
      .is_member({"ddpm", "ddim", "consistency"})
      .show_default();
  options.steps = command.add_option("--steps", o.steps, "denoising steps, of the schedule's 1000; consistency: 4")
                      .type_name("S")
                      .show_default();
  options.guidance =
      command
          .add_option(
              "--guidance", o.guidance,
              "classifier-free guidance as the reference's cfg_scale, on the first 3 channels; 1: none, as always with "
              "consistency")
          .type_name("G")
          .range(0.0, 1e4)
          .show_default();
  add_network_options(command, o, options.comm);
}

}  // namespace

void add_sample(Command app) {
  Command command = app.add_command("sample", "samples from a checkpoint, their contact sheet and their cost");
  const auto options = std::make_shared<Options>();
  command.add_option("CKPT", options->sample.checkpoint, "HDF5 with /ema/<name> or /model/<name>, e.g. a checkpoint")
      .required()
      .type_name("");
  command
      .add_option("-o,--directory", options->sample.directory,
                  "folder of samples.h5, samples.png and run.h5; {ranks} and {time} are filled in")
      .type_name("DIR")
      .show_default();
  add_what(command, *options);
  add_how(command, *options);
  command.add_flag("--no-sheet", options->no_sheet, "no contact sheet");
  command.add_flag("--no-gemm-peak", options->no_gemm_peak,
                   "do not measure the matrix product rate at start (about 1 s)");
  command.footer(
      "Under mpirun or srun batches are shared out over ranks, and the samples are the same on any number of them.\n"
      "docs/sampling.md has the formulas, the files and what the log says.\n\n"
      "  gpumonth sample runs/tiny-1ranks/checkpoint-300.h5 -o runs/samples\n"
      "  mpirun --bind-to none -n 2 gpumonth sample checkpoint.h5 --count 64 --steps 50 --sampler ddim --guidance 1.5\n"
      "  gpumonth sample runs/student-1ranks/checkpoint-4000.h5 -o runs/few-samples --sampler consistency --steps 2");
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
