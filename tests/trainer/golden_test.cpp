// gpumonth probe against PyTorch: prediction, loss and every gradient of tests/golden/*, in fp32 and bf16.
#include <fmt/format.h>

#include "base/hdf5.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "tests/trainer/runs.h"

using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

const char* const kCases[] = {"image", "image-no-sigma", "image-odd", "video"};

fs::path golden(const std::string& name) { return fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden" / name; }

std::string probe_command(const std::string& name, const std::string& dtype, int threads, const fs::path& out) {
  return fmt::format("{} probe {} --model {} --batch {} --out {} --dtype {} --threads {}", GPUMONTH_BINARY,
                     (golden(name) / "checkpoint.h5").string(), (golden(name) / "model.toml").string(),
                     (golden(name) / "batch.h5").string(), out.string(), dtype, threads);
}

std::vector<float> read_values(const fs::path& path, const std::string& name) {
  const auto file = gpumonth::hdf5::File::open(path);
  const auto dataset = file.dataset(name);
  std::vector<float> values(static_cast<std::size_t>(gpumonth::hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

/// Relative L2 error of the prediction, the losses and each gradient.
void compare(const fs::path& out, const fs::path& expected, double tolerance) {
  for (const char* name : {"/prediction", "/loss"}) {
    INFO(name);
    const auto values = read_values(out, name), wanted = read_values(expected, name);
    REQUIRE(values.size() == wanted.size());
    CHECK(relative_distance(values, wanted) <= tolerance);
  }
  const Tensors gradients = read_tensors(out, "/grad"), wanted = read_tensors(expected, "/grad");
  REQUIRE(gradients.size() == wanted.size());
  for (const auto& [name, values] : wanted) {
    INFO("/grad/" << name);
    REQUIRE(gradients.at(name).size() == values.size());
    CHECK(relative_distance(gradients.at(name), values) <= tolerance);
  }
}

void check_dtype(const std::string& dtype, double tolerance) {
  const TemporaryFolder folder;
  for (const char* name : kCases) {
    INFO(name);
    const fs::path out = folder.path() / (std::string(name) + ".h5");
    const CommandResult result = run_command(probe_command(name, dtype, 2, out));
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    compare(out, golden(name) / "expected.h5", tolerance);
  }
}

TEST_CASE("probe in fp32 is within 1e-5 of PyTorch") { check_dtype("fp32", 1e-5); }

TEST_CASE("probe in bf16 is within 2e-2 of PyTorch") { check_dtype("bf16", 2e-2); }

TEST_CASE("probe of forward alone gives the same prediction and losses, bit for bit") {
  const TemporaryFolder folder;
  for (const char* name : kCases)
    for (const char* dtype : {"fp32", "bf16"}) {
      CAPTURE(name, dtype);
      const fs::path whole = folder.path() / (std::string(name) + dtype + ".h5"),
                     forward = folder.path() / (std::string(name) + dtype + "-forward.h5");
      REQUIRE(run_command(probe_command(name, dtype, 1, whole)).exit_code == 0);
      const CommandResult result = run_command(probe_command(name, dtype, 1, forward) + " --forward-only");
      INFO(result.err);
      REQUIRE(result.exit_code == 0);
      CHECK_THAT(result.out, contains("3 samples, mean loss") && !contains("gradient"));
      for (const char* values : {"/prediction", "/loss"})
        CHECK(same_bits(read_values(forward, values), read_values(whole, values)));
      CHECK(gpumonth::hdf5::File::open(forward).names("/") == std::vector<std::string>{"loss", "prediction"});
    }
}

TEST_CASE("probe finds the model in a checkpoint that carries its configuration") {
  const TemporaryFolder folder;
  const fs::path checkpoint = golden("video") / "checkpoint.h5", batch = golden("video") / "batch.h5";
  const auto result = run_command(fmt::format("{} probe {} --batch {} --out {}", GPUMONTH_BINARY, checkpoint.string(),
                                              batch.string(), (folder.path() / "out.h5").string()));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("3 samples, mean loss"));
  compare(folder.path() / "out.h5", golden("video") / "expected.h5", 1e-5);
}

}  // namespace
