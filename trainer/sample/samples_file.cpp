#include "trainer/sample/samples_file.h"

#include "base/pending_file.h"

namespace gpumonth::trainer {

void write_samples(const std::filesystem::path& path, const model::ModelConfig& model, const SamplesFile& s) {
  const auto count = static_cast<std::int64_t>(s.labels.size());
  hdf5::Shape shape{count, model.in_channels, model.input_size, model.input_size};
  if (model.is_video()) shape.insert(shape.begin() + 2, model.frames);
  hdf5::PendingFile pending(path, hdf5::PendingFile::Existing::refuse);
  hdf5::File& file = pending.file();
  file.reserve(static_cast<std::int64_t>(s.samples.size_bytes() + s.labels.size_bytes()) + 64 * 1024);
  file.create_dataset<float>("/samples", shape).write(s.samples.data());
  file.create_dataset<std::int32_t>("/labels", {count}).write(s.labels.data());
  file.set_attribute("/", "content", "gpumonth samples");
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

}  // namespace gpumonth::trainer
