// 10 steps are 5 steps, a checkpoint and 5 more, bit for bit.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/state/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

std::string set_directory(const fs::path& directory) { return "run.directory=" + directory.string(); }

/// 5 steps and a checkpoint, then as many ranks as said for the other 5.
void train_in_halves(const fs::path& file, const fs::path& directory, int first_ranks, int second_ranks) {
  train(first_ranks, file, {set_directory(directory), "run.steps=5"});
  train(second_ranks, file, {set_directory(directory), "run.resume=" + (directory / "checkpoint-5.h5").string()});
}

std::vector<double> losses_of_halves(const fs::path& directory) {
  std::vector<double> all = losses(directory / "run.h5", 1, 5);
  const auto later = losses(directory / "run-from-5.h5", 6, 5);
  all.insert(all.end(), later.begin(), later.end());
  return all;
}

TEST_CASE("10 steps are 5 and 5 more, bit for bit, on one rank and on two") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  for (const int ranks : {0, 2}) {
    INFO(ranks << " ranks");
    const fs::path whole = folder.path() / fmt::format("whole-{}", ranks);
    const fs::path halves = folder.path() / fmt::format("halves-{}", ranks);
    train(ranks, file, {set_directory(whole)});
    train_in_halves(file, halves, ranks, ranks);
    CHECK(losses_of_halves(halves) == losses(whole / "run.h5", 1, 10));
    CHECK(same_checkpoints(halves / "checkpoint-10.h5", whole / "checkpoint-10.h5"));
    CHECK_FALSE(same_checkpoints(halves / "checkpoint-5.h5", whole / "checkpoint-10.h5"));
  }
}

TEST_CASE("so they are with a falling learning rate, micro-batches and mirrored samples") {
  const TemporaryFolder folder;
  const auto file = write_run_file(
      folder, fmt::format("\n[data]\npath = \"{}\"\nflip = true\n", write_latents(folder, 50, 8).string()));
  for (const std::string schedule : {"cosine", "wsd"}) {
    const fs::path directory = folder.path() / schedule;
    const std::vector<std::string> settings = {set_directory(directory),   "batch.accumulate=2",
                                               "checkpoint.every_steps=5", "optimizer.schedule=" + schedule,
                                               "optimizer.decay_steps=6",  "log.noise_scale=true"};
    train(0, file, settings);
    const auto whole = losses(directory / "run.h5", 1, 10);
    auto again = settings;
    again[0] = set_directory(folder.path() / (schedule + "-again"));
    again.push_back("run.resume=" + (directory / "checkpoint-5.h5").string());
    train(0, file, again);
    const fs::path resumed = folder.path() / (schedule + "-again");
    CHECK(losses(resumed / "run-from-5.h5", 6, 5) == std::vector<double>(whole.begin() + 5, whole.end()));
    CHECK(same_checkpoints(resumed / "checkpoint-10.h5", directory / "checkpoint-10.h5"));
    CHECK(runlog::read(resumed / "run-from-5.h5").steps.back().learning_rate == 0);
  }
}

TEST_CASE("another number of ranks goes on from a checkpoint") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  train(0, file, {set_directory(folder.path() / "whole")});
  const auto expected = losses(folder.path() / "whole/run.h5", 1, 10);
  for (const auto& [first, second] : {std::pair{0, 2}, std::pair{4, 1}}) {
    INFO(first << " ranks, then " << second);
    const fs::path halves = folder.path() / fmt::format("{}-then-{}", first, second);
    train_in_halves(file, halves, first, second);
    const auto found = losses_of_halves(halves);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-6));
  }
}

}  // namespace
