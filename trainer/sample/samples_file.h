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

/// What is in a file of write_samples(), as far as it is read again.
struct StoredSamples {
  std::vector<float> samples;        ///< (N, C, [F,] H, W), N >= 1, finite
  std::vector<std::int64_t> shape;   ///< of them
  std::vector<std::int32_t> labels;  ///< (N), 0 .. num_classes
  std::string sampler, checkpoint, checkpoint_crc32;
  int steps = 0;
  double guidance = 1;
  std::int64_t num_classes = 0;
};

/// UserError: missing, none of `gpumonth sample`, no samples in it, labels out of range, values that are not finite.
StoredSamples read_samples(const std::filesystem::path& file);

}  // namespace gpumonth::trainer
