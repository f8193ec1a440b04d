#include "cli/checkpoint_model.h"

#include "trainer/probe/probe.h"

namespace gpumonth::cli {

void CheckpointModel::add_to(Command command) {
  const Option model = command.add_option("--model", file, "model file; by default the configuration in the checkpoint")
                           .type_name("MODEL.toml");
  command.add_set_option(overrides).needs(model);
}

model::ModelConfig CheckpointModel::load(const std::filesystem::path& checkpoint) const {
  return file.empty() ? trainer::model_of_checkpoint(checkpoint) : model::load_model(file, overrides);
}

}  // namespace gpumonth::cli
