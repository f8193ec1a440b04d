// quality.json, what `gpumonth evaluate -o` wrote, with the contact sheets that lie beside its samples.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gpumonth::report {

struct LossWithError {
  double loss = 0, standard_error = 0;
};

struct NoiseLevelLoss : LossWithError {
  double t_from = 0, t_to = 0;
};

struct CheckpointQuality {
  std::string checkpoint, run, model, weights;
  std::int64_t step = 0, parameters = 0, validation_samples = 0;
  double samples_seen = 0, model_flops = 0;
  LossWithError validation, difference_from_first;
  std::vector<NoiseLevelLoss> by_noise_level;
};

struct SampleQuality {
  std::string file, checkpoint, sampler;
  std::int64_t steps = 0, count = 0;
  double guidance = 1;
  double frechet_distance = 0, frechet_low = 0, frechet_high = 0, frechet_floor = 0;
  std::optional<double> labels_read_right;
  std::string sheet;  ///< the bytes of samples.png beside the file; empty: there is none
};

struct Quality {
  std::vector<CheckpointQuality> checkpoints;
  std::vector<SampleQuality> samples;
};

/// UserError: missing, no JSON, or without the fields that `evaluate` writes. Samples are looked for at the paths that the
/// file has, then below the file's own folder.
Quality read_quality(const std::filesystem::path& file);

}  // namespace gpumonth::report
