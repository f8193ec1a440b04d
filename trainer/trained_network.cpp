#include "trainer/trained_network.h"

#include "base/error.h"
#include "trainer/backend.h"
#include "trainer/state/resume.h"

namespace gpumonth::trainer {

void require_weights(const std::filesystem::path& checkpoint, const CheckpointInfo& info, const NetworkOptions& options,
                     const char* verb) {
  if (options.weights == "ema" && !info.has_ema)
    user_error("{} has no EMA weights (/ema): {} its plain weights with --weights model", checkpoint.string(), verb);
}

std::unique_ptr<Model> load_network(const std::filesystem::path& checkpoint, const std::string& weights,
                                    std::int64_t rows, std::uint64_t seed, const model::ModelConfig& model,
                                    const ResolvedRun& resolved, const model::ParameterTable& table) {
  auto network = make_dit_model(resolved.backend,
                                {.model = model,
                                 .local_batch = rows,
                                 .global_batch = rows,
                                 .seed = seed,
                                 .dtype = resolved.dtype,
                                 .threads = resolved.threads,
                                 .keep = Keep::nothing,
                                 .device = resolved.device,
                                 .deterministic = true},
                                table);
  TrainingState state;
  (weights == "ema" ? state.ema : state.parameters) = network->parameters();
  read_checkpoint(checkpoint, table, state,
                  [&](const CheckpointInfo& read) { compare_model(checkpoint.string(), read, model); });
  network->parameters_changed();
  return network;
}

}  // namespace gpumonth::trainer
