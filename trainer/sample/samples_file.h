// samples.h5: what `gpumonth sample` made, and of what. docs/sampling.md lists it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "model/config.h"

namespace gpumonth::trainer {

struct SamplesFile {
  std::span<const float> samples;        ///< (N, C, [F,] H, W)
  std::span<const std::int32_t> labels;  ///< (N); num_classes is the null label
  std::uint64_t seed = 0;
  std::string sampler;  ///< "ddpm", "ddim", "consistency"
  int steps = 0;
  double guidance = 1;
  std::string checkpoint;        ///< path as it was given
  std::string checkpoint_crc32;  ///< of the file's bytes, eight hexadecimal digits
  std::int64_t checkpoint_step = 0;
  std::string weights;  ///< "ema", "model"
  std::string dtype;    ///< compute type
};

/// UserError where `file` exists or cannot be written; nothing half-written stays.
void write_samples(const std::filesystem::path& file, const model::ModelConfig& model, const SamplesFile& content);

}  // namespace gpumonth::trainer
