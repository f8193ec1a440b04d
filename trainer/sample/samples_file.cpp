#include "trainer/sample/samples_file.h"

#include "base/pending_file.h"
#include "trainer/state/checkpoint_values.h"

namespace gpumonth::trainer {
namespace {

constexpr const char* kSamplesContent = "gpumonth samples";

void read_labels(const hdf5::File& file, StoredSamples& stored) {
  const auto labels = file.dataset("/labels");
  if (!labels.is_integer() || labels.shape() != hdf5::Shape{stored.shape[0]})
    user_error("{} is not one whole number for each of {} samples: sample again", labels.name(), stored.shape[0]);
  stored.labels.resize(static_cast<std::size_t>(stored.shape[0]));
  labels.read(stored.labels.data());
  for (const std::int32_t label : stored.labels)
    if (label < 0 || label > stored.num_classes)
      user_error("{} holds {}, which is no label of {} classes: sample again", labels.name(), label,
                 stored.num_classes);
}

}  // namespace

void write_samples(const std::filesystem::path& path, const model::ModelConfig& model, const SamplesFile& s) {
  const auto count = static_cast<std::int64_t>(s.labels.size());
  hdf5::Shape shape{count, model.in_channels, model.input_size, model.input_size};
  if (model.is_video()) shape.insert(shape.begin() + 2, model.frames);
  hdf5::PendingFile pending(path, hdf5::PendingFile::Existing::refuse);
  hdf5::File& file = pending.file();
  file.reserve(static_cast<std::int64_t>(s.samples.size_bytes() + s.labels.size_bytes()) + 64 * 1024);
  file.create_dataset<float>("/samples", shape).write(s.samples.data());
  file.create_dataset<std::int32_t>("/labels", {count}).write(s.labels.data());
  file.set_attribute("/", "content", kSamplesContent);
  file.set_attribute("/", "seed", s.seed);
  file.set_attribute("/", "sampler", s.sampler);
  file.set_attribute("/", "steps", s.steps);
  file.set_attribute("/", "guidance", s.guidance);
  file.set_attribute("/", "num_classes", model.num_classes);
  file.set_attribute("/", "checkpoint", s.checkpoint);
  file.set_attribute("/", "checkpoint_crc32", s.checkpoint_crc32);
  file.set_attribute("/", "checkpoint_step", s.checkpoint_step);
  file.set_attribute("/", "weights", s.weights);
  file.set_attribute("/", "dtype", s.dtype);
  pending.commit();
}

StoredSamples read_samples(const std::filesystem::path& path) {
  const auto file = hdf5::File::open(path);
  if (!file.has_attribute("/", "content") || file.text_attribute("/", "content") != kSamplesContent)
    user_error("{} is no samples.h5 of gpumonth sample: give files that it wrote", file.path());
  StoredSamples stored;
  const auto samples = file.dataset("/samples");
  stored.shape = samples.shape();
  if (!samples.is_float() || stored.shape.size() < 4 || stored.shape.size() > 5)
    user_error("{} is not (samples, channels, [frames,] height, width) in floating point", samples.name());
  if (hdf5::element_count(stored.shape) == 0) user_error("{}: /samples has no samples: sample again", file.path());
  stored.num_classes = file.attribute<std::int64_t>("/", "num_classes");
  read_labels(file, stored);
  stored.samples.resize(static_cast<std::size_t>(hdf5::element_count(stored.shape)));
  samples.read(stored.samples.data());
  if (const std::string bad = bad_value(stored.samples); !bad.empty())
    user_error("{} holds {}: sample again", samples.name(), bad);
  stored.sampler = file.text_attribute("/", "sampler");
  stored.steps = file.attribute<int>("/", "steps");
  stored.guidance = file.attribute<double>("/", "guidance");
  stored.checkpoint = file.text_attribute("/", "checkpoint");
  stored.checkpoint_crc32 = file.text_attribute("/", "checkpoint_crc32");
  return stored;
}

}  // namespace gpumonth::trainer
