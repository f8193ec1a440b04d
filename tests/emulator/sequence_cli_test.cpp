// run.sequence_parallel over NCCL, on emulated GPUs: the same losses as on one, in graphs and out of them.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

using Settings = std::vector<std::string>;

/// Trains on so many emulated GPUs, 0: one without mpirun.
void train_on_gpus(int ranks, const fs::path& file, const fs::path& directory, Settings settings) {
  for (const std::string& more : {std::string("run.backend=cuda"), std::string("model.num_heads=4"),
                                  fmt::format("comm.transport={}", ranks > 0 ? "nccl" : "self"),
                                  std::string("run.steps=8"), "run.directory=" + directory.string()})
    settings.push_back(more);
  const CommandResult result = run_command("GPUMONTH_EMULATED_GPUS=4 " + train_command(ranks, file, settings));
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.err, !contains("no CUDA graph"));
}

runlog::Run run_of(int ranks, const fs::path& file, const fs::path& directory, const Settings& settings) {
  train_on_gpus(ranks, file, directory, settings);
  return runlog::read(directory / "run.h5");
}

double largest_difference(const runlog::Run& a, const runlog::Run& b) {
  double largest = a.steps.size() == b.steps.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.steps.size(), b.steps.size()); ++i)
    largest = std::max(largest, std::abs(a.steps[i].loss / b.steps[i].loss - 1));
  return largest;
}

void check_agreement(const Settings& model, const std::vector<std::pair<int, int>>& ranks_and_shared,
                     const Settings& more = {}) {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const runlog::Run alone = run_of(0, file, folder.path() / "alone", model);
  for (const auto& [ranks, shared] : ranks_and_shared) {
    INFO(ranks << " ranks, " << shared << " share a sample");
    Settings settings = model;
    settings.push_back(fmt::format("run.sequence_parallel={}", shared));
    settings.insert(settings.end(), more.begin(), more.end());
    const runlog::Run run = run_of(ranks, file, folder.path() / fmt::format("{}-{}", ranks, shared), settings);
    CHECK(largest_difference(run, alone) < 1e-6);
    CHECK(run.info.sequence_ranks == shared);
    for (const auto& step : run.steps) {
      CHECK(step.exchange_s > 0);
      CHECK(step.exchanged_bytes == run.steps.front().exchanged_bytes);
    }
    CHECK(run.steps.front().exchanged_bytes > 0);
  }
}

TEST_CASE("GPUs that share the tokens of images train as one does, also in groups") {
  check_agreement({}, {{2, 2}, {4, 4}, {4, 2}});
}

TEST_CASE("so they do with video, micro-batches, recomputing and a sharded optimizer") {
  check_agreement({"model.frames=4", "model.temporal_patch_size=2"}, {{2, 2}},
                  {"batch.accumulate=2", "run.recompute=full", "comm.sharding=optimizer"});
}

TEST_CASE("a resume goes on bit for bit") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const fs::path whole = folder.path() / "whole", again = folder.path() / "again";
  Settings settings = {"run.sequence_parallel=2", "run.deterministic=true", "checkpoint.every_steps=4"};
  train_on_gpus(2, file, whole, settings);
  settings.push_back("run.resume=" + (whole / "checkpoint-4.h5").string());
  train_on_gpus(2, file, again, settings);
  CHECK(same_checkpoints(again / "checkpoint-8.h5", whole / "checkpoint-8.h5"));
}

TEST_CASE("one GPU measures the share of one of several") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const CommandResult result = run_command("GPUMONTH_EMULATED_GPUS=1 " +
                                           train_command(0, file,
                                                         {"run.backend=cuda", "run.dtype=bf16", "model.num_heads=4",
                                                          "run.sequence_parallel_emulated=4", "run.steps=5"}));
  INFO(result.out << result.err);
  REQUIRE(result.exit_code == 0);
  CHECK_THAT(result.out, contains("one of 4 ranks' share"));
  CHECK(names_in(folder.path() / "out") == std::vector<std::string>{"run.h5"});
}

}  // namespace
