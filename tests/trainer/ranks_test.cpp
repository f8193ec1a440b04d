// The same global batch on 1, 2 and 4 ranks: the same losses, the same weights.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/hdf5.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

struct Outcome {
  runlog::Run log;
  Tensors model, ema;
};

Outcome train_20_steps(int ranks, const fs::path& file, const fs::path& directory, std::vector<std::string> more) {
  more.push_back("run.directory=" + directory.string());
  more.push_back("run.steps=20");
  train(ranks, file, more);
  Outcome outcome{runlog::read(directory / "run.h5"), read_tensors(directory / "checkpoint-20.h5", "/model"),
                  read_tensors(directory / "checkpoint-20.h5", "/ema")};
  REQUIRE(outcome.log.steps.size() == 20);
  leave_out_key_biases(outcome.model);
  leave_out_key_biases(outcome.ema);
  return outcome;
}

double largest_loss_difference(const runlog::Run& a, const runlog::Run& b) {
  double largest = 0;
  for (std::size_t i = 0; i < b.steps.size(); ++i)
    largest = std::max(largest, std::abs(a.steps[i].loss / b.steps[i].loss - 1));
  return largest;
}

/// Times of a bucket count from its step's start: nothing is ready before backward begins, nor reduced after the step.
void check_bucket_times(const runlog::Run& run) {
  constexpr double kClocks_s = 1e-4;  // two threads read the clock, and each phase is rounded on its own
  CHECK(!run.buckets.empty());
  for (const auto& bucket : run.buckets) {
    const auto step =
        std::find_if(run.steps.begin(), run.steps.end(), [&](const auto& s) { return s.step == bucket.step; });
    REQUIRE(step != run.steps.end());
    CHECK(bucket.ready_s >= step->data_s + step->forward_s);
    CHECK(bucket.ready_s <= step->data_s + step->forward_s + step->backward_s + kClocks_s);
    CHECK(bucket.start_s >= bucket.ready_s);
    CHECK(bucket.end_s >= bucket.start_s);
    CHECK(bucket.end_s <= step->step_time_s + kClocks_s);
  }
}

void check_agreement(const fs::path& file, const TemporaryFolder& folder, const std::vector<int>& ranks,
                     const std::vector<std::string>& more) {
  const Outcome alone = train_20_steps(0, file, folder.path() / "alone", more);
  CHECK(alone.log.info.transport == "self");
  CHECK(alone.log.steps.front().loss > 0);
  CHECK(alone.log.steps.back().loss != alone.log.steps.front().loss);
  for (const int n : ranks) {
    INFO(n << " ranks");
    const Outcome outcome = train_20_steps(n, file, folder.path() / fmt::format("{}-ranks", n), more);
    CHECK(outcome.log.info.world_size == n);
    CHECK(outcome.log.clean_close);
    CHECK(outcome.log.rank_step_time_s.size() == outcome.log.rank_steps.size() * static_cast<std::size_t>(n));
    if (n > 1) check_bucket_times(outcome.log);
    CHECK(largest_loss_difference(outcome.log, alone.log) < 1e-6);
    CHECK(largest_distance(outcome.model, alone.model) < 1e-4);
    CHECK(largest_distance(outcome.ema, alone.ema) < 1e-4);
  }
}

TEST_CASE("20 steps in fp32 have the same losses on 1, 2 and 4 ranks") {
  const TemporaryFolder folder;
  check_agreement(write_run_file(folder), folder, {1, 2, 4}, {});
}

TEST_CASE("the same holds for a latent dataset that ends in the middle of a batch") {
  const TemporaryFolder folder;
  const auto data = write_latents(folder, 27, 8);
  check_agreement(write_run_file(folder), folder, {2}, {"data.path=" + data.string()});
}

TEST_CASE("the same holds for micro-batches, whose gradients are summed before the ranks' are") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const Outcome whole = train_20_steps(0, file, folder.path() / "whole", {});
  for (const auto& [ranks, micro_batches] : {std::pair{0, 2}, {0, 8}, {2, 2}, {2, 4}}) {
    INFO(ranks << " ranks, " << micro_batches << " micro-batches");
    const auto directory = folder.path() / fmt::format("{}-{}", ranks, micro_batches);
    const Outcome outcome = train_20_steps(ranks, file, directory,
                                           {fmt::format("batch.accumulate={}", micro_batches), "log.noise_scale=true"});
    if (ranks > 1) check_bucket_times(outcome.log);
    CHECK(outcome.log.info.global_batch == 8);
    CHECK(outcome.log.info.small_batch == 8 / std::max(1, ranks) / micro_batches);
    CHECK(largest_loss_difference(outcome.log, whole.log) < 1e-6);
    CHECK(largest_distance(outcome.model, whole.model) < 1e-4);
    CHECK(largest_distance(outcome.ema, whole.ema) < 1e-4);
  }
}

TEST_CASE("the same holds for video") {
  const TemporaryFolder folder;
  check_agreement(write_run_file(folder), folder, {2}, {"model.frames=4", "model.temporal_patch_size=2"});
}

}  // namespace
