// Latent datasets: rows land where they were asked for; what does not fit the model is refused.
#include <fstream>
#include <limits>

#include "base/error.h"
#include "base/hdf5.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "trainer/data/data.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSamples = 40;

model::ModelConfig image_model() {
  model::ModelConfig model;
  model.input_size = 8;
  model.num_classes = 10;
  return model;
}

model::ModelConfig video_model() {
  model::ModelConfig model = image_model();
  model.frames = 3;
  return model;
}

/// latents[i] = i + 1000 * row, label = row % 10.
struct Made {
  hdf5::Shape shape = {kSamples, 4, 8, 8};
  std::int64_t labels = kSamples;
  std::int32_t bad_label = -1;  ///< of sample 7, if not -1
  float bad_value = 0;          ///< of sample 5, if not 0

  void write(const std::filesystem::path& path) const {
    auto file = hdf5::File::create(path);
    std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(shape)));
    const auto row = values.size() / static_cast<std::size_t>(shape[0]);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % row + 1000 * (i / row));
    if (bad_value != 0) values[5 * row + 3] = bad_value;
    file.create_dataset<float>("/latents", shape).write(values.data());
    std::vector<std::int32_t> classes;
    for (std::int64_t i = 0; i < labels; ++i) classes.push_back(static_cast<std::int32_t>(i % 10));
    if (bad_label != -1) classes[7] = bad_label;
    file.create_dataset<std::int64_t>("/labels", {labels}).write(classes.data());
  }
};

std::string error_of_opening(const Made& made, const model::ModelConfig& model) {
  const TemporaryFolder folder;
  made.write(folder.path() / "data.h5");
  try {
    open_latent_dataset(folder.path() / "data.h5", model);
  } catch (const UserError& error) {
    CHECK_THAT(error.what(), contains("data.h5"));
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "no error";
}

void check_rows(Dataset& data, const std::vector<std::int64_t>& indices, std::size_t row) {
  std::vector<float> latents(indices.size() * row, -1.0f);
  std::vector<std::int32_t> labels(indices.size(), -1);
  data.read(indices, latents.data(), labels.data());
  int wrong = 0;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    if (labels[i] != indices[i] % 10) ++wrong;
    for (std::size_t j = 0; j < row; ++j) {
      if (latents[i * row + j] != static_cast<float>(j + 1000 * static_cast<std::size_t>(indices[i]))) ++wrong;
    }
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("Many samples in one chunk are said to be slow to read, few or none are not") {
  const TemporaryFolder folder;
  const auto note_of = [&](std::int64_t chunk_rows) {
    const auto path = folder.path() / fmt::format("chunks-{}.h5", chunk_rows);
    {
      auto file = hdf5::File::create(path);
      hdf5::Extendible options;
      options.chunk_rows = chunk_rows;
      const std::vector<float> values(kSamples * 4 * 8 * 8, 1.0f);
      const std::vector<std::int32_t> classes(kSamples, 3);
      file.create_extendible("/latents", {4, 8, 8}, hdf5::native_type<float>(), options)
          .append(0, kSamples, values.data(), hdf5::native_type<float>());
      file.create_dataset<std::int64_t>("/labels", {kSamples}).write(classes.data());
    }
    return open_latent_dataset(path, image_model())->note();
  };
  CHECK_THAT(note_of(20), contains("chunks-20.h5: /latents: 20 samples lie in one chunk") && contains("h5repack"));
  CHECK(note_of(1).empty());
  Made{}.write(folder.path() / "contiguous.h5");
  CHECK(open_latent_dataset(folder.path() / "contiguous.h5", image_model())->note().empty());
}

TEST_CASE("rows come in the order asked for") {
  const TemporaryFolder folder;
  Made{}.write(folder.path() / "data.h5");
  const auto data = open_latent_dataset(folder.path() / "data.h5", image_model());
  CHECK(data->size() == kSamples);
  CHECK_THAT(data->description(), contains("data.h5") && contains("(40, 4, 8, 8)"));
  check_rows(*data, {0, 1, 2, 3}, 256);  // one run, in place
  check_rows(*data, {39}, 256);
  check_rows(*data, {7, 6, 5, 20, 4, 22, 21}, 256);  // runs that are scattered
  check_rows(*data, {3, 3, 4, 3}, 256);              // the same sample again
  check_rows(*data, {}, 256);
  std::vector<float> latents(256);
  std::int32_t label = 0;
  CHECK_THROWS_AS(data->read(std::vector<std::int64_t>{kSamples}, latents.data(), &label), std::out_of_range);
}

TEST_CASE("video, and float64 in compressed chunks") {
  const TemporaryFolder folder;
  Made{.shape = {kSamples, 4, 3, 8, 8}}.write(folder.path() / "video.h5");
  check_rows(*open_latent_dataset(folder.path() / "video.h5", video_model()), {4, 2, 3, 30}, 768);

  const auto repack = tests::run_command("cd '" + folder.path().string() +
                                         "' && h5repack -l /latents:CHUNK=7x4x3x8x8 -f /latents:GZIP=3 video.h5 z.h5");
  REQUIRE(repack.exit_code == 0);
  check_rows(*open_latent_dataset(folder.path() / "z.h5", video_model()), {4, 2, 3, 30}, 768);

  {
    auto file = hdf5::File::create(folder.path() / "double.h5");
    std::vector<double> values(2 * 256);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i % 256 + 1000 * (i / 256));
    file.create_dataset<double>("/latents", {2, 4, 8, 8}).write(values.data());
    const std::uint8_t labels[] = {0, 1};
    file.create_dataset<std::uint8_t>("/labels", {2}).write(labels);
  }
  check_rows(*open_latent_dataset(folder.path() / "double.h5", image_model()), {1, 0}, 256);
}

TEST_CASE("datasets that do not fit are refused with both shapes") {
  CHECK(error_of_opening({}, image_model()) == "no error");
  CHECK_THAT(error_of_opening({.shape = {40, 4, 16, 16}}, image_model()),
             contains("(40, 4, 16, 16)") && contains("(N, 4, 8, 8)") && contains("model.input_size=16"));
  CHECK_THAT(error_of_opening({.shape = {40, 3, 8, 8}}, image_model()), contains("model.in_channels=3"));
  CHECK_THAT(error_of_opening({.shape = {40, 4, 3, 8, 8}}, image_model()), contains("model.frames=3"));
  CHECK_THAT(error_of_opening({.shape = {40, 4, 2, 8, 8}}, video_model()),
             contains("(N, 4, 3, 8, 8)") && contains("model.frames=2"));
  CHECK_THAT(error_of_opening({.shape = {40, 256}}, image_model()), contains("(40, 256)"));
  CHECK_THAT(error_of_opening({.labels = 39}, image_model()), contains("/labels has shape (39)") && contains("40"));
  CHECK_THAT(error_of_opening({.bad_label = 10}, image_model()),
             contains("label 10 of sample 7") && contains("0 to 9"));
  CHECK_THAT(error_of_opening({.bad_label = -2}, image_model()), contains("label -2 of sample 7"));
}

TEST_CASE("axes in another order: the hint never swaps those of the model") {
  const auto hint = [](const hdf5::Shape& shape, const model::ModelConfig& model, const char* call) {
    INFO(hdf5::to_string(shape));
    const std::string error = error_of_opening({.shape = shape}, model);
    CHECK_THAT(error, contains(std::string("numpy.moveaxis(latents, ") + call + ")"));
    CHECK(error.find("set model.") == error.npos);
  };
  hint({40, 8, 8, 4}, image_model(), "-1, 1");     // (N, H, W, C)
  hint({40, 16, 16, 4}, image_model(), "-1, 1");   // of another size, too
  hint({40, 3, 8, 8, 4}, video_model(), "-1, 1");  // (N, F, H, W, C)
  hint({40, 3, 4, 8, 8}, video_model(), "2, 1");   // (N, F, C, H, W)
  hint({40, 3, 4, 8, 8}, image_model(), "2, 1");
  CHECK_THAT(error_of_opening({.shape = {40, 4, 8, 6}}, image_model()), contains("only square latents"));
}

TEST_CASE("half-precision latents are read as they are") {
  const TemporaryFolder folder;
  const hdf5::Handle half(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(half.get(), 15, 10, 5, 0, 10), H5Tset_size(half.get(), 2), H5Tset_ebias(half.get(), 15);
  {
    auto file = hdf5::File::create(folder.path() / "half.h5");
    std::vector<float> values(2 * 256, -1.5f);
    values[1] = 65504.0f;
    file.create_dataset("/latents", {2, 4, 8, 8}, half.get()).write(values.data());
    const std::int64_t labels[] = {0, 1};
    file.create_dataset<std::int64_t>("/labels", {2}).write(labels);
  }
  const auto data = open_latent_dataset(folder.path() / "half.h5", image_model());
  std::vector<float> latents(256);
  std::int32_t label = -1;
  data->read(std::vector<std::int64_t>{0}, latents.data(), &label);
  CHECK(latents[0] == -1.5f);
  CHECK(latents[1] == 65504.0f);
}

TEST_CASE("a dataset is known again by its samples, not by its name") {
  const TemporaryFolder folder;
  const auto identity = [&](const Made& made) {
    const fs::path path = folder.path() / "data.h5";
    fs::remove(path);
    made.write(path);
    return open_latent_dataset(path, image_model())->identity();
  };
  const DatasetIdentity first = identity({});
  CHECK(first.samples == kSamples);
  CHECK(identity({}) == first);
  CHECK_FALSE(identity({.bad_label = 3}) == first);     // another label than 7
  CHECK_FALSE(identity({.bad_value = 1e6f}) == first);  // of sample 5, one of those looked at
  CHECK_FALSE(identity({.shape = {39, 4, 8, 8}, .labels = 39}) == first);
}

TEST_CASE("a chunk that cannot be unpacked is told with its rows") {
  const TemporaryFolder folder;
  Made{}.write(folder.path() / "plain.h5");
  REQUIRE(tests::run_command("cd '" + folder.path().string() +
                             "' && h5repack -l /latents:CHUNK=1x4x8x8 -f /latents:GZIP=3 plain.h5 z.h5")
              .exit_code == 0);
  hsize_t size = 0;
  haddr_t address = 0;
  {
    const auto file = hdf5::File::open(folder.path() / "z.h5");
    const hsize_t offset[] = {23, 0, 0, 0};
    unsigned mask = 0;
    REQUIRE(H5Dget_chunk_info_by_coord(file.dataset("/latents").id(), offset, &mask, &address, &size) >= 0);
  }
  std::fstream stream(folder.path() / "z.h5", std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(static_cast<std::streamoff>(address)) << std::string(size, 'x');
  stream.close();
  const auto data = open_latent_dataset(folder.path() / "z.h5", image_model());
  check_rows(*data, {22, 24}, 256);
  std::vector<float> latents(256);
  std::int32_t label = 0;
  CHECK_THROWS_WITH(data->read(std::vector<std::int64_t>{23}, latents.data(), &label),
                    contains("/latents: cannot read rows 23 to 23"));
}

TEST_CASE("files that are no dataset are refused") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& name) { open_latent_dataset(folder.path() / name, image_model()); };
  CHECK_THROWS_WITH(open("none.h5"), contains("none.h5: no such file"));
  folder.write("text.h5", "latents");
  CHECK_THROWS_WITH(open("text.h5"), contains("not an HDF5 file"));
  hdf5::File::create(folder.path() / "empty.h5");
  CHECK_THROWS_WITH(open("empty.h5"), contains("empty.h5: has no dataset /latents"));
  Made{}.write(folder.path() / "cut.h5");
  std::filesystem::resize_file(folder.path() / "cut.h5", 20'000);
  CHECK_THROWS_WITH(open("cut.h5"), contains("truncated"));
  {
    auto file = hdf5::File::create(folder.path() / "types.h5");
    const std::vector<std::int32_t> zeros(2 * 256);
    file.create_dataset<std::int32_t>("/latents", {2, 4, 8, 8}).write(zeros.data());
    file.create_dataset<float>("/labels", {2});
  }
  CHECK_THROWS_WITH(open("types.h5"), contains("/labels was created, but never written"));
  {
    auto file = hdf5::File::create(folder.path() / "integers.h5");
    const std::vector<std::int8_t> zeros(2 * 256);
    file.create_dataset<std::int8_t>("/latents", {2, 4, 8, 8}).write(zeros.data());
    file.create_dataset<std::int8_t>("/labels", {2}).write(zeros.data());
  }
  CHECK_THROWS_WITH(open("integers.h5"), contains("/latents does not hold floating-point numbers"));
}

TEST_CASE("a sample that is not finite is refused when it is read") {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const TemporaryFolder folder;
    Made{.bad_value = bad}.write(folder.path() / "data.h5");
    const auto data = open_latent_dataset(folder.path() / "data.h5", image_model());
    check_rows(*data, {4, 6}, 256);
    std::vector<float> latents(2 * 256);
    std::vector<std::int32_t> labels(2);
    CHECK_THROWS_WITH(data->read(std::vector<std::int64_t>{4, 5}, latents.data(), labels.data()),
                      contains("sample 5 holds NaN or infinity"));
  }
}
