// Ten steps of DDPM and DDIM against the reference's loops in PyTorch: tests/golden/*/samples.h5, in double from the same
// weights and noise; with and without guidance, under labels and the null label.
#include <fmt/format.h>

#include "base/hdf5.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/model.h"
#include "trainer/sample/schedule.h"
#include "trainer/state/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
namespace fs = std::filesystem;

namespace {

constexpr double kTolerance = 1e-4;  // relative, in the Euclidean norm

template <class T>
std::vector<T> read_all(const hdf5::File& file, const std::string& name) {
  const auto dataset = file.dataset(name);
  std::vector<T> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

struct Golden {
  explicit Golden(const std::string& name)
      : folder(fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden" / name), model(model::load_model(folder / "model.toml")),
        file(hdf5::File::open(folder / "samples.h5")), labels(read_all<std::int32_t>(file, "/y")),
        begin(read_all<float>(file, "/begin")), noise(read_all<float>(file, "/noise")),
        steps(file.attribute<int>("/", "steps")) {}

  /// `rows` of the network: labels, or twice as many with guidance.
  std::unique_ptr<Model> network(std::int64_t rows, int threads) const {
    const model::ParameterTable table(model);
    auto made = make_cpu_dit_model({.model = model,
                                    .local_batch = rows,
                                    .global_batch = rows,
                                    .dtype = "fp32",
                                    .threads = threads,
                                    .keep = Keep::nothing},
                                   table);
    read_checkpoint(folder / "checkpoint.h5", table, {.parameters = made->parameters()});
    made->parameters_changed();
    return made;
  }

  std::vector<float> sampled(Sampler sampler, double guidance) const {
    const auto count = static_cast<std::int64_t>(labels.size());
    const auto made = network(guidance != 1 ? 2 * count : count, 1);
    made->start_samples({labels, 0, guidance}, begin);
    const auto size = static_cast<std::ptrdiff_t>(begin.size());
    auto at = noise.begin();
    for (const ops::ReverseStep& step : reverse_steps(sampler, steps, model.learn_sigma)) {
      if (!step.adds_noise) {
        made->denoise(step);
        continue;
      }
      made->denoise(step, {at, at + size});
      at += size;
    }
    return made->samples();
  }

  fs::path folder;
  model::ModelConfig model;
  hdf5::File file;
  std::vector<std::int32_t> labels;
  std::vector<float> begin, noise;
  int steps;
};

TEST_CASE("ten steps are within 1e-4 of the reference's loops") {
  for (const char* name : {"image", "image-no-sigma", "image-odd", "video"}) {
    const Golden golden(name);
    REQUIRE(golden.steps == 10);
    for (const Sampler sampler : {Sampler::ddpm, Sampler::ddim})
      for (const bool guided : {false, true}) {
        const std::string key = fmt::format("/{}{}", trainer::name(sampler), guided ? "_guided" : "");
        CAPTURE(name, key);
        if (!golden.file.has(key)) {
          CHECK(guided);
          CHECK(golden.model.class_dropout_prob == 0);  // no null label, no guidance
          continue;
        }
        const auto expected = read_all<float>(golden.file, key);
        const auto samples = golden.sampled(sampler, guided ? golden.file.attribute<double>("/", "guidance") : 1);
        REQUIRE(samples.size() == expected.size());
        const double distance = tests::relative_distance(samples, expected);
        CAPTURE(distance);
        CHECK(distance <= kTolerance);
      }
  }
}

TEST_CASE("guidance is no small change, and acts on three of the four channels in the first step") {
  const Golden golden("image");
  const auto plain = read_all<float>(golden.file, "/ddim"), guided = read_all<float>(golden.file, "/ddim_guided");
  CHECK(tests::relative_distance(guided, plain) > 1e-2);
  const auto first = reverse_steps(Sampler::ddim, golden.steps, true).front();
  const auto without = golden.network(2, 1), with = golden.network(4, 1);
  without->start_samples({golden.labels, 0, 1}, golden.begin);
  with->start_samples({golden.labels, 0, 4}, golden.begin);
  without->denoise(first);
  with->denoise(first);
  const std::size_t plane = 64;
  for (std::size_t c = 0; c < 4; ++c) {
    const auto channel = [&](const std::vector<float>& s) {
      return std::vector<float>(s.begin() + static_cast<std::ptrdiff_t>(c * plane),
                                s.begin() + static_cast<std::ptrdiff_t>((c + 1) * plane));
    };
    CAPTURE(c);
    const double distance = tests::relative_distance(channel(with->samples()), channel(without->samples()));
    CHECK((c < 3 ? distance > 1e-3 : distance < 1e-5));
  }
}

}  // namespace
