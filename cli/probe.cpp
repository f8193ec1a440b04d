// gpumonth probe CKPT --batch B.h5 --out O.h5: prediction, loss and every gradient on given inputs.
#include "trainer/probe/probe.h"

#include <fmt/format.h>

#include <memory>

#include "base/standard_output.h"
#include "cli/checkpoint_model.h"
#include "cli/commands.h"

namespace gpumonth::cli {
namespace {

struct Options {
  trainer::ProbeOptions probe;
  CheckpointModel model;
};

void run(const Options& options) {
  const model::ModelConfig model = options.model.load(options.probe.checkpoint);
  const trainer::ProbeSummary summary = trainer::probe(model, options.probe);
  const std::string norm = options.probe.forward_only ? "" : fmt::format(", gradient norm {:.9g}", summary.grad_norm);
  print("{} samples, mean loss {:.9g}{}; written to {}\n", summary.samples, summary.mean_loss, norm,
        options.probe.out.string());
}

}  // namespace

void add_probe(Command app) {
  Command command = app.add_command("probe", "one forward and backward on given inputs: prediction, loss, gradients");
  const auto options = std::make_shared<Options>();
  command.add_option("CKPT", options->probe.checkpoint, "HDF5 with /model/<name>, e.g. a checkpoint")
      .required()
      .type_name("");
  options->model.add_to(command);
  command.add_option("--batch", options->probe.batch, "HDF5 with /x_start, /noise, /t, /y")
      .required()
      .type_name("B.h5");
  command.add_option("--out", options->probe.out, "HDF5 to write: /prediction, /loss, /grad/<name>")
      .required()
      .type_name("O.h5");
  command.add_flag("--forward-only", options->probe.forward_only,
                   "prediction and loss, no gradients: a fraction of the memory");
  command.add_option("--dtype", options->probe.dtype, "compute type; master weights are fp32")
      .type_name("TYPE")
      .is_member({"fp32", "bf16"})
      .show_default();
  command.add_option("--backend", options->probe.backend, "where the model runs: CPU threads or the first GPU")
      .type_name("BACKEND")
      .is_member({"cpu", "cuda"})
      .show_default();
  command.add_option("--threads", options->probe.threads, "threads of the products and loops")
      .type_name("THREADS")
      .range(1, 1024)
      .show_default();
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
