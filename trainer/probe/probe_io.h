// Files of `gpumonth probe`: one batch in, one forward and backward out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "model/parameters.h"

namespace gpumonth::trainer {

struct ProbeBatch {
  std::int64_t size = 0;        ///< N
  std::vector<float> x_start;   ///< (N, C, [F,] H, W) clean latents
  std::vector<float> noise;     ///< the same shape
  std::vector<std::int32_t> t;  ///< (N) diffusion steps, 0 .. diffusion_steps-1
  std::vector<std::int32_t> y;  ///< (N) labels; num_classes is the null label
};

/// Reads /x_start, /noise, /t and /y of `file`. UserError: missing or foreign file, shapes that are not the
/// model's, t or y out of range, values that are not finite.
ProbeBatch read_probe_batch(const std::filesystem::path& file, const model::ModelConfig& model,
                            int diffusion_steps = 1000);

struct ProbeResult {
  std::vector<float> prediction;     ///< (N, C_out, [F,] H, W)
  std::vector<float> loss;           ///< (N) the reference's per-sample mse + vb
  const float* gradients = nullptr;  ///< flat buffer of the table: of the mean loss over the batch; null: not taken
};

/// Writes /prediction, /loss and, where there are gradients, /grad/<name>. UserError where `file` exists or cannot be
/// written; nothing half-written stays.
void write_probe_result(const std::filesystem::path& file, const model::ModelConfig& model,
                        const model::ParameterTable& table, const ProbeResult& result);

}  // namespace gpumonth::trainer
