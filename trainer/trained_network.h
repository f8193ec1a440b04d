// The network of a checkpoint, for who runs it and does not train it: `gpumonth sample`, `gpumonth evaluate`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "model/parameters.h"
#include "trainer/model.h"
#include "trainer/resolved_run.h"
#include "trainer/state/checkpoint.h"

namespace gpumonth::trainer {

/// Which of its weights, and where they compute.
struct NetworkOptions {
  std::string weights = "ema";  ///< "ema": their moving average; "model": as training left them
  std::int64_t batch = 8;       ///< samples that go through the network together
  std::string dtype = "auto", backend = "auto";
  int threads = 0;  ///< per rank; 0: this host's cores / ranks on it
};

/// UserError: `options` ask for an average that the checkpoint does not hold; `verb` is what was to be done, "sample".
void require_weights(const std::filesystem::path& checkpoint, const CheckpointInfo& info, const NetworkOptions& options,
                     const char* verb);

/// For forward alone, `rows` at once, by kernels that a fixed rule chooses: the same bits on every GPU of a kind. `seed` keys
/// the noise that is drawn. UserError: a bad or damaged file, a checkpoint of another network than `model`, one without
/// the weights asked for, what does not fit into the GPU's memory.
std::unique_ptr<Model> load_network(const std::filesystem::path& checkpoint, const std::string& weights,
                                    std::int64_t rows, std::uint64_t seed, const model::ModelConfig& model,
                                    const ResolvedRun& resolved, const model::ParameterTable& table);

}  // namespace gpumonth::trainer
