// A training and its replay on emulated GPUs: NCCL moves the same bytes.
#include "tests/emulator/nccl_channel.h"
#include "tests/trainer/replay/source.h"
#include "trainer/backend.h"
#include "trainer/loop.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::ranks, gpumonth::tests::transport;

namespace {

constexpr std::int64_t kSteps = 10;  // the tenth has its buckets logged

/// Small, as an emulated step of it takes some 0.1 s all the same.
RunConfig training(const std::filesystem::path& folder) {
  RunConfig c;
  c.model = replay::samples::model();
  c.model.depth = 1;
  c.run.directory = (folder / "trained").string();
  c.run.steps = kSteps;
  c.run.dtype = "fp32";
  c.run.threads = 1;
  c.batch.global = ranks().size();
  c.comm.transport = "nccl";
  c.comm.bucket_mib = 0.05;
  c.log.measure_gemm_peak = false;
  c.checkpoint.at_end = false;
  return c;
}

ReplayOptions replay_of(const std::filesystem::path& folder) {
  ReplayOptions options;
  options.logs = {(folder / "trained" / "run.h5").string()};
  options.directory = (folder / "replayed").string();
  options.steps = kSteps;
  options.most_late = INFINITY;  // this machine may be busy
  return options;
}

template <class Work>
std::uint64_t bytes_of(const Work& work) {
  const std::uint64_t before = emulator::bytes_of_collectives();
  work();
  return emulator::bytes_of_collectives() - before;
}

void check(const RunConfig& config, const std::filesystem::path& folder) {
  const std::uint64_t trained = bytes_of([&] {
    const ResolvedRun resolved = resolve(config, transport());
    const auto step = make_dit_step(config, resolved, transport());
    train(config, resolved, transport(), *step);
  });
  ranks().barrier();
  const std::uint64_t replayed = bytes_of([&] { replay_run(replay_of(folder), transport()); });
  CHECK(replayed == trained);
  const auto values = static_cast<std::uint64_t>(model::ParameterTable(config.model).flat_size());
  if (ranks().size() == 1) {
    CHECK(trained == 0);
  } else {  // at the least: gradients, and with sharding the parameters and partial norms
    CHECK(trained >= kSteps * values * (config.comm.wire == "bf16" ? 2 : 4));
  }
  if (ranks().rank() != 0) return;
  const runlog::Run source = runlog::read(folder / "trained" / "run.h5"),
                    log = runlog::read(folder / "replayed" / "run.h5");
  CHECK(log.info.origin == runlog::Origin::replayed);
  CHECK(log.info.device_name == source.info.device_name);
  REQUIRE(log.buckets.size() == source.buckets.size());
  REQUIRE(!log.buckets.empty());
  for (std::size_t b = 0; b < log.buckets.size(); ++b) {
    CHECK(log.buckets[b].step == source.buckets[b].step);
    CHECK(log.buckets[b].bytes == source.buckets[b].bytes);
  }
}

TEST_CASE("NCCL moves a training's bytes again in its replay") {
  for (const std::string kind : {"plain", "bf16", "sharded"}) {
    INFO(kind);
    const tests::SharedFolder folder;
    RunConfig config = training(folder.path);
    if (kind == "bf16") config.comm.wire = "bf16";
    if (kind == "sharded") config.comm.sharding = "optimizer";
    check(config, folder.path);
  }
}

}  // namespace
