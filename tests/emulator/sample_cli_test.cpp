// gpumonth sample --backend cuda as a user starts it, on an emulated GPU: the CPU's samples.
#include <fmt/format.h>

#include <cmath>

#include "base/hdf5.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

std::vector<float> sample(const fs::path& checkpoint, const fs::path& out, const std::string& backend) {
  const std::string command = fmt::format(
      "{} sample {} -o {} --backend {} --dtype fp32 --count 3 --batch 2 --steps 4 --guidance 1.5 --no-gemm-peak",
      GPUMONTH_BINARY, checkpoint.string(), out.string(), backend);
  INFO(command);
  const CommandResult result = run_command(command);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const auto file = hdf5::File::open(out / "samples.h5");
  const auto dataset = file.dataset("/samples");
  std::vector<float> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

TEST_CASE("samples of a GPU are the CPU's") {
  const TemporaryFolder folder;
  train(0, write_run_file(folder), {"run.steps=2", "run.backend=cpu", "optimizer.ema_decay=0.5"});
  const fs::path checkpoint = folder.path() / "out/checkpoint-2.h5";
  const std::vector<float> cpu = sample(checkpoint, folder.path() / "cpu", "cpu");
  const std::vector<float> gpu = sample(checkpoint, folder.path() / "gpu", "cuda");
  REQUIRE(cpu.size() == gpu.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < cpu.size(); ++i) {
    difference += std::pow(cpu[i] - gpu[i], 2);
    size += std::pow(cpu[i], 2);
  }
  CHECK(std::sqrt(difference / size) < 1e-5);
  const runlog::Run log = runlog::read(folder.path() / "gpu/run.h5", runlog::Kind::any);
  CHECK(log.info.backend == "cuda");
  CHECK(std::isnan(log.info.gemm_peak_flops_per_s));
  CHECK(log.steps.size() == 8);  // two batches of 4 steps
}

}  // namespace
