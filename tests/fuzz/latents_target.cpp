#include <numeric>

#include "base/hdf5.h"
#include "tests/fuzz/edits.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "trainer/data/data.h"

namespace gpumonth::fuzz {
namespace {

constexpr std::int64_t kSamples = 6;

model::ModelConfig model_of(bool video) {
  model::ModelConfig m;
  m.input_size = 4, m.in_channels = 2, m.num_classes = 3, m.frames = video ? 2 : 1;
  return m;
}

float stored_value(std::size_t place) { return 0.5f + 0.01f * static_cast<float>(place); }

std::string image(const char* name, const hdf5::Shape& shape, bool extendible) {
  const auto path = scratch_folder() / name;
  auto file = hdf5::File::create(path);
  std::vector<float> latents(static_cast<std::size_t>(hdf5::element_count(shape)));
  for (std::size_t i = 0; i < latents.size(); ++i) latents[i] = stored_value(i);
  const std::vector<std::int32_t> labels = {0, 1, 2, 0, 1, 2};
  if (extendible) {
    file.create_extendible("/latents", {shape.begin() + 1, shape.end()}, hdf5::native_type<float>(), {.chunk_rows = 4})
        .append(0, kSamples, latents.data(), hdf5::native_type<float>());
    file.create_extendible("/labels", {}, hdf5::native_type<std::int32_t>(), {.chunk_rows = 4})
        .append(0, kSamples, labels.data(), hdf5::native_type<std::int32_t>());
  } else {
    file.create_dataset<float>("/latents", shape).write(latents.data());
    file.create_dataset<std::int32_t>("/labels", {kSamples}).write(labels.data());
  }
  file.close();
  return read_bytes(path);
}

const std::vector<Base>& bases() {
  static const std::vector<Base> all = {{"images", image("images.h5", {kSamples, 2, 4, 4}, false)},
                                        {"extendible", image("extendible.h5", {kSamples, 2, 4, 4}, true)},
                                        {"clips", image("clips.h5", {kSamples, 2, 2, 4, 4}, false)}};
  return all;
}

}  // namespace

void latents(const std::string& input, Effort) {
  const auto edits = parse_edits(input);
  const bool has_base = !edits.empty() && edits[0][0] == "base";
  const auto model = model_of(has_base && edits[0].size() > 1 && edits[0][1] == "clips");
  const auto dataset = trainer::open_latent_dataset(edited_file("latents.h5", bases(), edits), model);
  if (dataset->size() < 1) throw Fault("an accepted dataset without samples");
  check_text(dataset->description(), input);
  std::vector<std::int64_t> indices(static_cast<std::size_t>(std::min<std::int64_t>(dataset->size(), 64)));
  std::iota(indices.rbegin(), indices.rend(), std::int64_t{0});  // last first: read through a staging buffer
  std::vector<float> values(indices.size() * static_cast<std::size_t>(model.latent_size()), NAN);
  std::vector<std::int32_t> labels(indices.size(), -1);
  dataset->read(indices, values.data(), labels.data());
  const bool may_differ = may_change_values({edits.begin() + (has_base ? 1 : 0), edits.end()});
  const auto sample = static_cast<std::size_t>(model.latent_size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    check_finite(static_cast<double>(values[i]), "a value of an accepted dataset");
    const auto row = static_cast<std::size_t>(indices[i / sample]);
    if (!may_differ && values[i] != stored_value(row * sample + i % sample))
      throw Fault("an accepted dataset gave values that it never held");
  }
  for (const auto label : labels)
    if (label < 0 || label >= model.num_classes) throw Fault("a label out of range");
}

std::string mutate_latents(const std::string& input, std::mt19937& random) {
  return mutate_edits(bases(), input, random);
}

}  // namespace gpumonth::fuzz
