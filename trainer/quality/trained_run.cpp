#include "trainer/quality/trained_run.h"

#include "base/error.h"
#include "model/flops.h"

namespace gpumonth::trainer {
namespace {

/// A resolved configuration has the model's file as a comment, `# from = "../models/dit-s-2.toml"`.
std::string model_name_in(const std::string& config_toml) {
  const std::string begin = "# from = \"";
  const auto at = config_toml.find(begin);
  if (at == std::string::npos) return "inline";
  const auto from = at + begin.size();
  const std::string stem = std::filesystem::path(config_toml.substr(from, config_toml.find('"', from) - from)).stem();
  return stem.empty() ? "inline" : stem;
}

}  // namespace

double TrainedRun::model_flops() const { return static_cast<double>(info.step) * step_work(config).model_flops; }

TrainedRun read_trained_run(const std::filesystem::path& checkpoint) {
  TrainedRun run{checkpoint, read_checkpoint_info(checkpoint), {}, {}};
  if (run.info.config_toml.empty())
    user_error(
        "{} carries no configuration, so that it is not known what it was trained on: evaluate checkpoints of "
        "gpumonth train",
        checkpoint.string());
  run.config = parse_run(run.info.config_toml, checkpoint.string() + ":config_toml");
  model::validate(run.config.model);
  run.model_name = model_name_in(run.info.config_toml);
  return run;
}

}  // namespace gpumonth::trainer
