// How good samples of a model of the procedural set are, in numbers: their drawings are read back and compared with true
// ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "trainer/quality/drawing_reader.h"
#include "trainer/quality/frechet.h"
#include "trainer/quality/trained_run.h"
#include "trainer/sample/samples_file.h"

namespace gpumonth::trainer {

/// True drawings that samples are compared with, the same for every file.
constexpr std::int64_t kTrueSamples = 2048;

struct SampleQuality {
  std::filesystem::path file, checkpoint;
  std::string checkpoint_crc32, sampler;
  int steps = 0;
  double guidance = 1;
  std::int64_t count = 0;
  FrechetResult frechet;
  double labels_read_right = 0;  ///< share of the samples with a label; NaN: all were sampled under the null label
};

/// Judges files one after the other; true drawings are read once for all files of one class seed and shape.
class SampleJudge {
 public:
  explicit SampleJudge(int threads) : threads_(threads) {}

  /// `run` is what made the samples. UserError: it was not trained on the procedural set, samples of another shape or
  /// other classes, fewer than two samples.
  SampleQuality judge(const std::filesystem::path& file, const StoredSamples& stored, const TrainedRun& run);

 private:
  /// What true drawings give; `more` are others, as many as a floor asks for.
  struct Truth {
    model::ModelConfig model;
    std::uint64_t class_seed = 0;
    Features features, more;
  };
  const Truth& truth_for(const TrainedRun& run, std::int64_t count);
  std::vector<Reading> read_all(const DrawingReader& reader, const std::vector<float>& samples,
                                std::int64_t count) const;
  Features true_features(const TrainedRun& run, std::int64_t first, std::int64_t count) const;

  int threads_;
  std::optional<Truth> truth_;
};

}  // namespace gpumonth::trainer
