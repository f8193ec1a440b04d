// Probe files: the batch is checked against the model, the result carries every gradient.
#include "trainer/probe/probe_io.h"

#include <functional>
#include <limits>

#include "base/error.h"
#include "base/hdf5.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;

namespace {

model::ModelConfig model_of(int frames, double dropout = 0.1) {
  model::ModelConfig model;
  model.input_size = 4;
  model.hidden_size = 8;
  model.depth = 1;
  model.num_heads = 2;
  model.num_classes = 5;
  model.frames = frames;
  model.class_dropout_prob = dropout;
  return model;
}

struct Batch {
  hdf5::Shape x = {2, 4, 4, 4}, noise = {2, 4, 4, 4};
  std::vector<std::int64_t> t = {0, 999}, y = {5, 4};
  float last = 0.5f;
};

void write(const std::filesystem::path& path, const Batch& batch) {
  auto file = hdf5::File::create(path);
  const auto latents = [&](const std::string& name, const hdf5::Shape& shape) {
    std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(shape)));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    values.back() = batch.last;
    file.create_dataset<float>(name, shape).write(values.data());
  };
  latents("/x_start", batch.x);
  latents("/noise", batch.noise);
  file.create_dataset<std::int64_t>("/t", {static_cast<std::int64_t>(batch.t.size())}).write(batch.t.data());
  file.create_dataset<std::int64_t>("/y", {static_cast<std::int64_t>(batch.y.size())}).write(batch.y.data());
}

std::string error_of_reading(const Batch& batch, const model::ModelConfig& model) {
  const TemporaryFolder folder;
  write(folder.path() / "b.h5", batch);
  try {
    read_probe_batch(folder.path() / "b.h5", model);
  } catch (const UserError& error) {
    CHECK_THAT(error.what(), contains("b.h5"));
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a probe batch is read as written") {
  const TemporaryFolder folder;
  write(folder.path() / "b.h5", {});
  const auto batch = read_probe_batch(folder.path() / "b.h5", model_of(1));
  CHECK(batch.size == 2);
  REQUIRE(batch.x_start.size() == 128);
  CHECK(batch.x_start[126] == 126.0f);
  CHECK(batch.noise[127] == 0.5f);
  CHECK(batch.t == std::vector<std::int32_t>{0, 999});
  CHECK(batch.y == std::vector<std::int32_t>{5, 4});
  write(folder.path() / "v.h5", {.x = {2, 4, 3, 4, 4}, .noise = {2, 4, 3, 4, 4}});
  CHECK(read_probe_batch(folder.path() / "v.h5", model_of(3)).x_start.size() == 384);
}

TEST_CASE("a probe batch that does not fit is refused") {
  CHECK_THAT(error_of_reading({.x = {2, 4, 8, 8}}, model_of(1)), contains("(2, 4, 8, 8)") && contains("(2, 4, 4, 4)"));
  CHECK_THAT(error_of_reading({.noise = {3, 4, 4, 4}}, model_of(1)), contains("/noise has shape (3, 4, 4, 4)"));
  CHECK_THAT(error_of_reading({}, model_of(2)), contains("(2, 4, 2, 4, 4)"));
  CHECK_THAT(error_of_reading({.t = {1}}, model_of(1)), contains("/t has shape (1)"));
  CHECK_THAT(error_of_reading({.t = {0, 1000}}, model_of(1)), contains("/t: value 1000 of sample 1"));
  CHECK_THAT(error_of_reading({.y = {6, 0}}, model_of(1)), contains("/y: value 6 of sample 0 is outside 0 to 5"));
  CHECK_THAT(error_of_reading({}, model_of(1, 0.0)),
             contains("/y: value 5") && contains("0 to 4"));  // no null label
  CHECK_THAT(error_of_reading({.last = std::numeric_limits<float>::quiet_NaN()}, model_of(1)), contains("NaN"));
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_probe_batch(folder.path() / "b.h5", model_of(1)), contains("no such file"));
  hdf5::File::create(folder.path() / "e.h5");
  CHECK_THROWS_WITH(read_probe_batch(folder.path() / "e.h5", model_of(1)), contains("no dataset /x_start"));
}

TEST_CASE("a probe result holds prediction, loss and every gradient") {
  const TemporaryFolder folder;
  const auto path = folder.path() / "o.h5";
  const auto model = model_of(3);
  const model::ParameterTable table(model);
  std::vector<float> gradients(static_cast<std::size_t>(table.flat_size()));
  for (std::size_t i = 0; i < gradients.size(); ++i) gradients[i] = static_cast<float>(i);
  ProbeResult result{std::vector<float>(2 * 8 * 3 * 16, 0.25f), {1.5f, 2.5f}, gradients.data()};
  write_probe_result(path, model, table, result);
  {
    const auto file = hdf5::File::open(path);
    CHECK(file.dataset("/prediction").shape() == hdf5::Shape{2, 8, 3, 4, 4});
    std::vector<float> loss(2);
    file.dataset("/loss").read(loss.data());
    CHECK(loss == result.loss);
    CHECK(file.names("/grad").size() == table.all().size());
    for (const auto& p : table.all()) {
      const auto dataset = file.dataset("/grad/" + p.name);
      REQUIRE(dataset.shape() == p.shape);
      std::vector<float> values(static_cast<std::size_t>(p.count));
      dataset.read(values.data());
      CHECK(std::equal(values.begin(), values.end(), gradients.begin() + p.offset));
    }
  }
  CHECK_THROWS_WITH(write_probe_result(path, model, table, result), contains("o.h5") && contains("exists already"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}
