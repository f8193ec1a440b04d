// `gpumonth probe`: one forward and backward on given inputs, for comparison with another implementation. Or forward
// alone, which needs a fraction of the memory.
#pragma once

#include <filesystem>
#include <string>

#include "model/config.h"

namespace gpumonth::trainer {

struct ProbeOptions {
  std::filesystem::path checkpoint, batch, out;
  std::string dtype = "fp32";   ///< fp32 | bf16
  std::string backend = "cpu";  ///< cpu | cuda: the first GPU
  int threads = 1;
  bool forward_only = false;  ///< no gradients
};

struct ProbeSummary {
  std::int64_t samples = 0;
  double mean_loss = 0, grad_norm = 0;  ///< of forward alone no gradient: 0
};

/// UserError: bad, damaged or mismatched files, a checkpoint of another network than `model`, a loss or gradient that
/// is not finite, `out` exists, no GPU for "cuda".
ProbeSummary probe(const model::ModelConfig& model, const ProbeOptions& options);

/// The [model] of the configuration that a checkpoint carries. UserError where it has none.
model::ModelConfig model_of_checkpoint(const std::filesystem::path& checkpoint);

}  // namespace gpumonth::trainer
