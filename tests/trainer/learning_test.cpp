// There is something to learn in the procedural set, and a seed reproduces how it is learnt.
#include <numeric>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

constexpr std::size_t kWindow = 10;  // steps that the loss is averaged over

std::vector<double> losses(const fs::path& log) {
  std::vector<double> values;
  for (const auto& step : runlog::read(log).steps) values.push_back(step.loss);
  return values;
}

/// The mean of the steps (end - kWindow, end], counted from 1.
double smoothed(const std::vector<double>& values, std::size_t end) {
  REQUIRE(values.size() >= end);
  const auto last = values.begin() + static_cast<std::ptrdiff_t>(end);
  return std::accumulate(last - kWindow, last, 0.0) / static_cast<double>(kWindow);
}

TEST_CASE("the smoothed loss of a small model falls by half after the warm-up") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const std::size_t steps = 400;
  train(0, file,
        {"run.steps=" + std::to_string(steps), "model.hidden_size=64", "model.num_heads=4", "batch.global=32",
         "optimizer.learning_rate=2e-3", "optimizer.warmup_steps=10", "run.threads=2", "checkpoint.at_end=false"});
  const auto values = losses(folder.path() / "out/run.h5");
  // The window that follows the warm-up's last step, and the last one.
  const double before = smoothed(values, 10 + kWindow), after = smoothed(values, steps);
  INFO("from " << before << " to " << after);
  CHECK(before < 1.5);
  CHECK(after <= before / 2);
}

TEST_CASE("a seed reproduces the losses bit for bit, another does not") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const auto run = [&](const std::string& name, const std::string& seed, const std::string& dtype) {
    train(0, file,
          {"run.directory=" + (folder.path() / name).string(), "run.seed=" + seed, "run.dtype=" + dtype,
           "run.threads=2", "checkpoint.at_end=false"});
    return losses(folder.path() / name / "run.h5");
  };
  for (const std::string dtype : {"fp32", "bf16"}) {
    INFO(dtype);
    const auto first = run("first-" + dtype, "3", dtype), again = run("again-" + dtype, "3", dtype);
    const auto other = run("other-" + dtype, "4", dtype);
    CHECK(first.size() == 10);
    CHECK(first == again);
    CHECK(first.front() != other.front());
    CHECK(first.back() != other.back());
  }
}

}  // namespace
