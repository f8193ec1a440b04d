// The quality.json of `gpumonth evaluate` as points of loss against compute.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/text_file.h"
#include "scaling/loss/loss_runs.h"

namespace gpumonth::scaling {
namespace {

double positive_field(const nlohmann::json& object, const char* key, const std::string& run, const std::string& file) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number() || !(found->get<double>() > 0))
    user_error("{}: {} has no {} above 0: write the file with gpumonth evaluate CKPT... -o quality.json", file,
               run.empty() ? "a checkpoint" : run, key);
  return found->get<double>();
}

LossRun loss_of_checkpoint(const nlohmann::json& checkpoint, const std::string& file) {
  if (!checkpoint.is_object()) user_error("{}: checkpoints[] holds something that is no object", file);
  const auto validation = checkpoint.find("validation");
  if (validation == checkpoint.end() || !validation->is_object())
    user_error("{}: a checkpoint has no validation loss: evaluate it without --samples alone", file);
  LossRun run;
  for (const char* key : {"run", "checkpoint"})
    if (const auto named = checkpoint.find(key); run.name.empty() && named != checkpoint.end() && named->is_string())
      run.name = named->get<std::string>();
  run.parameters = positive_field(checkpoint, "parameters", run.name, file);
  run.samples = positive_field(checkpoint, "samples_seen", run.name, file);
  run.tokens = positive_field(checkpoint, "tokens_seen", run.name, file);
  run.model_flops = positive_field(checkpoint, "model_flops", run.name, file);
  run.loss = positive_field(*validation, "loss", run.name, file);
  if (const auto error = validation->find("standard_error"); error != validation->end() && error->is_number())
    run.standard_error = std::max(0.0, error->get<double>());
  return run;
}

}  // namespace

std::vector<LossRun> loss_of_quality(const std::filesystem::path& file) {
  const auto json = nlohmann::json::parse(read_bytes(file), nullptr, false);
  const auto checkpoints = json.is_object() ? json.find("checkpoints") : json.end();
  if (!json.is_object() || checkpoints == json.end() || !checkpoints->is_array() || checkpoints->empty())
    user_error("{}: is no quality.json with checkpoints[]: write it with gpumonth evaluate CKPT... -o quality.json",
               file.string());
  std::vector<LossRun> runs;
  for (const auto& checkpoint : *checkpoints) runs.push_back(loss_of_checkpoint(checkpoint, file.string()));
  return runs;
}

}  // namespace gpumonth::scaling
