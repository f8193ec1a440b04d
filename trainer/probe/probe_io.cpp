#include "trainer/probe/probe_io.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/hdf5.h"
#include "base/pending_file.h"

namespace gpumonth::trainer {

namespace {

using hdf5::Shape;

/// (samples, channels, [F,] H, W)
Shape batch_shape(std::int64_t samples, int channels, const model::ModelConfig& model) {
  if (model.is_video()) return {samples, channels, model.frames, model.input_size, model.input_size};
  return {samples, channels, model.input_size, model.input_size};
}

std::vector<float> read_latents(const hdf5::File& file, const std::string& name, const Shape& expected) {
  const auto dataset = file.dataset(name);
  if (!dataset.is_float()) user_error("{} does not hold floating-point numbers", dataset.name());
  if (dataset.shape() != expected) {
    user_error("{} has shape {}, but the model needs {}", dataset.name(), hdf5::to_string(dataset.shape()),
               hdf5::to_string(expected));
  }
  std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(expected)));
  dataset.read(values.data());
  if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) {
    user_error("{} holds NaN or infinity", dataset.name());
  }
  return values;
}

std::vector<std::int32_t> read_integers(const hdf5::File& file, const std::string& name, std::int64_t count,
                                        std::int64_t largest) {
  const auto dataset = file.dataset(name);
  if (!dataset.is_integer()) user_error("{} does not hold integers", dataset.name());
  if (dataset.shape() != Shape{count}) {
    user_error("{} has shape {}, but /x_start has {} samples: it needs ({})", dataset.name(),
               hdf5::to_string(dataset.shape()), count, count);
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  dataset.read(values.data());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] > largest) {
      user_error("{}: value {} of sample {} is outside 0 to {}", dataset.name(), values[i], i, largest);
    }
  }
  return {values.begin(), values.end()};
}

}  // namespace

ProbeBatch read_probe_batch(const std::filesystem::path& path, const model::ModelConfig& model, int diffusion_steps) {
  const auto file = hdf5::File::open(path);
  const Shape stored = file.dataset("/x_start").shape();
  ProbeBatch batch;
  batch.size = stored.empty() ? 0 : stored[0];
  if (batch.size == 0) user_error("{}: /x_start has no samples", file.path());
  const Shape expected = batch_shape(batch.size, model.in_channels, model);
  batch.x_start = read_latents(file, "/x_start", expected);
  batch.noise = read_latents(file, "/noise", expected);
  batch.t = read_integers(file, "/t", batch.size, diffusion_steps - 1);
  batch.y = read_integers(file, "/y", batch.size, model.label_rows() - 1);
  return batch;
}

void write_probe_result(const std::filesystem::path& path, const model::ModelConfig& model,
                        const model::ParameterTable& table, const ProbeResult& result) {
  const auto samples = static_cast<std::int64_t>(result.loss.size());
  const Shape prediction = batch_shape(samples, model.out_channels(), model);
  if (hdf5::element_count(prediction) != static_cast<std::int64_t>(result.prediction.size())) {
    throw std::invalid_argument("write_probe_result: prediction is not of shape " + hdf5::to_string(prediction));
  }
  hdf5::PendingFile pending(path, hdf5::PendingFile::Existing::refuse);
  hdf5::File& file = pending.file();
  const auto values =
      static_cast<std::int64_t>(result.prediction.size() + result.loss.size()) + (result.gradients ? table.count() : 0);
  file.reserve(values * static_cast<std::int64_t>(sizeof(float)) + 256 * 1024 +
               static_cast<std::int64_t>(table.all().size()) * 1024);
  file.create_dataset<float>("/prediction", prediction).write(result.prediction.data());
  file.create_dataset<float>("/loss", {samples}).write(result.loss.data());
  if (result.gradients) {
    file.create_group("/grad");
    for (const auto& parameter : table.all())
      file.create_dataset<float>("/grad/" + parameter.name, parameter.shape).write(result.gradients + parameter.offset);
  }
  pending.commit();
}

}  // namespace gpumonth::trainer
