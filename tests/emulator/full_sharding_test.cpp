// comm.sharding = "full" over NCCL on emulated GPUs: the losses of unsharded ranks, also in steps that are replayed as a graph.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;

namespace {

class GpuRuns {
 public:
  /// Losses of five steps, the last three of a graph, on so many GPUs.
  std::vector<double> losses_of(int ranks, std::vector<std::string> settings) const {
    const auto directory = folder_.path() / fmt::format("{}-{}", ranks, fmt::join(settings, "-"));
    for (const char* of_all : {"run.backend=cuda", "comm.transport=nccl", "run.steps=5", "model.depth=3",
                               "batch.global=4", "checkpoint.every_steps=4"})
      settings.insert(settings.begin(), of_all);
    settings.push_back("run.directory=" + directory.string());
    const CommandResult result =
        run_command(fmt::format("GPUMONTH_EMULATED_GPUS={} {}", ranks, train_command(ranks, file_, settings)));
    INFO(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK_THAT(result.err, !contains("no CUDA graph"));
    last_ = directory;
    return losses(directory / "run.h5", 1, 5);
  }
  const std::filesystem::path& last() const { return last_; }

 private:
  TemporaryFolder folder_;
  std::filesystem::path file_ = write_run_file(folder_);
  mutable std::filesystem::path last_;
};

void check_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(std::abs(a[i] / b[i] - 1) < tolerance);
}

TEST_CASE("NCCL ranks in shards have the losses of whole ones") {
  const GpuRuns run;
  const auto whole = run.losses_of(2, {});
  check_near(run.losses_of(2, {"comm.sharding=full", "batch.accumulate=2", "run.recompute=full", "log.bucket_every=1"}),
             whole, 1e-6);
  const runlog::Run twice = runlog::read(run.last() / "run.h5");
  REQUIRE(twice.buckets.size() > twice.steps.size());
  std::vector<double> last_s(twice.steps.size());  // inside the last micro-batch's reductions, by step
  for (const auto& bucket : twice.buckets)
    last_s[static_cast<std::size_t>(bucket.step - 1)] += bucket.end_s - bucket.start_s;
  for (std::size_t s = 0; s < last_s.size(); ++s) {
    INFO(s);
    CHECK(last_s[s] > 0);
    CHECK(twice.steps[s].comm_s > 1.05 * last_s[s]);  // the first one's besides
  }
  check_near(run.losses_of(4, {"comm.sharding=full", "comm.shard_group=2"}), whole, 1e-6);
  const runlog::Run log = runlog::read(run.last() / "run.h5");
  CHECK(log.steps.back().gathered_bytes > log.steps.back().reduced_bytes / 2);
  CHECK(log.steps.back().gathered_bytes == log.steps.front().gathered_bytes);  // of a replayed graph too
}

TEST_CASE("three ranks leave a rest, and bf16 weights travel as such") {
  const GpuRuns run;
  check_near(run.losses_of(3, {"batch.global=6", "comm.sharding=full"}), run.losses_of(3, {"batch.global=6"}), 1e-6);
  check_near(run.losses_of(2, {"run.dtype=bf16", "comm.sharding=full"}), run.losses_of(2, {"run.dtype=bf16"}), 1e-4);
}

}  // namespace
