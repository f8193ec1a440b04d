#include "trainer/quality/sample_quality.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/hdf5.h"

namespace gpumonth::trainer {
namespace {

// Of the held-out set: behind what validation may take of it.
constexpr std::int64_t kFirstTrue = std::int64_t{1} << 32, kFirstMore = std::int64_t{1} << 33;

hdf5::Shape shape_of_samples(std::int64_t count, const model::ModelConfig& m) {
  if (m.is_video()) return {count, m.in_channels, m.frames, m.input_size, m.input_size};
  return {count, m.in_channels, m.input_size, m.input_size};
}

void require_procedural(const std::filesystem::path& file, const StoredSamples& stored, const TrainedRun& run) {
  const model::ModelConfig& m = run.config.model;
  if (!run.procedural())
    user_error(
        "{}: its checkpoint {} was trained on {}, and drawings are read in samples of the procedural set alone: "
        "leave it out",
        file.string(), run.checkpoint.string(), run.config.data.path);
  const hdf5::Shape wanted = shape_of_samples(stored.shape[0], m);
  if (stored.shape != wanted)
    user_error("{} has samples of shape {}, and {} was trained on {}: sample without --model", file.string(),
               hdf5::to_string(stored.shape), run.checkpoint.string(), hdf5::to_string(wanted));
  if (stored.num_classes != m.num_classes)
    user_error("{} has samples of {} classes, and {} was trained on {}: sample without --model", file.string(),
               stored.num_classes, run.checkpoint.string(), m.num_classes);
  if (stored.shape[0] < 2)
    user_error("{} has one sample, and a distance takes two or more, better hundreds: sample with --count 256",
               file.string());
}

Features features_of(const DrawingReader& reader, const std::vector<Reading>& readings) {
  Features features;
  for (const Reading& r : readings) features.push_back(reader.features(r));
  return features;
}

double share_read_right(const std::vector<Reading>& readings, const StoredSamples& stored) {
  std::int64_t labelled = 0, right = 0;
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (stored.labels[i] == stored.num_classes) continue;
    ++labelled;
    right += readings[i].label == stored.labels[i];
  }
  return labelled > 0 ? static_cast<double>(right) / static_cast<double>(labelled) : std::nan("");
}

}  // namespace

SampleQuality SampleJudge::judge(const std::filesystem::path& file, const StoredSamples& stored,
                                 const TrainedRun& run) {
  require_procedural(file, stored, run);
  const std::int64_t count = stored.shape[0];
  const Truth& truth = truth_for(run, count);
  const DrawingReader reader(run.config.model, run.config.run.seed);
  const std::vector<Reading> readings = read_all(reader, stored.samples, count);
  return {.file = file,
          .checkpoint = run.checkpoint,
          .checkpoint_crc32 = stored.checkpoint_crc32,
          .sampler = stored.sampler,
          .steps = stored.steps,
          .guidance = stored.guidance,
          .count = count,
          .frechet = frechet(features_of(reader, readings), truth.features, truth.more),
          .labels_read_right = share_read_right(readings, stored)};
}

const SampleJudge::Truth& SampleJudge::truth_for(const TrainedRun& run, std::int64_t count) {
  const model::ModelConfig& m = run.config.model;
  const bool known = truth_ && truth_->class_seed == run.config.run.seed &&
                     truth_->model.num_classes == m.num_classes &&
                     shape_of_samples(1, truth_->model) == shape_of_samples(1, m);
  if (!known) truth_ = Truth{m, run.config.run.seed, true_features(run, kFirstTrue, kTrueSamples), {}};
  const auto so_far = static_cast<std::int64_t>(truth_->more.size());
  if (const std::int64_t wanted = std::max(count, kTrueSamples); so_far < wanted) {
    const Features further = true_features(run, kFirstMore + so_far, wanted - so_far);
    truth_->more.insert(truth_->more.end(), further.begin(), further.end());
  }
  return *truth_;
}

std::vector<Reading> SampleJudge::read_all(const DrawingReader& reader, const std::vector<float>& samples,
                                           std::int64_t count) const {
  std::vector<Reading> readings(static_cast<std::size_t>(count));
  const std::size_t size = samples.size() / readings.size();
#pragma omp parallel for num_threads(threads_) schedule(dynamic, 8)
  for (std::size_t i = 0; i < readings.size(); ++i)
    readings[i] = reader.read(std::span(samples).subspan(i * size, size));
  return readings;
}

Features SampleJudge::true_features(const TrainedRun& run, std::int64_t first, std::int64_t count) const {
  const auto data = make_held_out_dataset(run.config.model, run.config.run.seed);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
  std::iota(indices.begin(), indices.end(), first);
  std::vector<float> latents(indices.size() * static_cast<std::size_t>(run.config.model.latent_size()));
  std::vector<std::int32_t> labels(indices.size());
  data->read(indices, latents.data(), labels.data());
  const DrawingReader reader(run.config.model, run.config.run.seed);
  return features_of(reader, read_all(reader, latents, count));
}

}  // namespace gpumonth::trainer
