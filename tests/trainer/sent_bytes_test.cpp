// What a step's log says that a rank sent is what model/communication.h predicts, to the byte; and ranks that share samples
// train alike in shards.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "model/communication.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/run_config.h"

using namespace gpumonth;
using namespace gpumonth::tests;

namespace {

struct Layout {
  int ranks;
  std::vector<std::string> settings;
};

TEST_CASE("bytes of gathers, reductions and all-to-alls are the predicted ones, and losses those of one rank") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const std::vector<std::string> of_all = {"model.depth=3",  "model.num_heads=4", "model.frames=4",
                                           "batch.global=8", "run.steps=4",       "checkpoint.at_end=false"};
  const auto trained = [&](const std::string& name, int ranks, std::vector<std::string> settings) {
    settings.insert(settings.end(), of_all.begin(), of_all.end());
    settings.push_back("run.directory=" + (folder.path() / name).string());
    train(ranks, file, settings);
    return runlog::read(folder.path() / name / "run.h5");
  };
  const runlog::Run alone = trained("alone", 0, {});
  const std::vector<Layout> layouts = {
      {2, {"comm.sharding=full"}},
      {4, {"comm.sharding=full", "comm.shard_group=2", "batch.accumulate=2"}},
      {2, {"comm.sharding=full", "run.recompute=full"}},
      {2, {"run.sequence_parallel=2"}},
      {4, {"run.sequence_parallel=2", "run.recompute=linear", "batch.accumulate=2"}},
      {4, {"comm.sharding=full", "run.sequence_parallel=2", "run.recompute=full", "run.dtype=bf16"}},
      {4, {"comm.sharding=full", "comm.shard_group=2", "run.sequence_parallel=4"}},
  };
  for (const auto& [ranks, settings] : layouts) {
    const std::string name = fmt::format("{}-{}", ranks, fmt::join(settings, "-"));
    INFO(name);
    const runlog::Run log = trained(name, ranks, settings);
    const trainer::RunConfig config = trainer::parse_run(log.info.config_toml, name);
    const model::TrainingLayout layout = trainer::training_layout(config, ranks, ranks, false);
    const auto dtype = model::dtype_named(log.info.dtype);
    const auto parts = model::sent_parts(config.model, trainer::local_batch(config, ranks), dtype, layout);
    REQUIRE(log.steps.size() == 4);
    for (const runlog::StepRecord& step : log.steps) {
      if (layout.sharding == model::Sharding::full) {
        // whole bytes of a few parts each, where the log's are fractions
        CHECK(std::abs(step.gathered_bytes - static_cast<double>(sum(parts, model::SentKind::gathered))) < 4);
        CHECK(std::abs(step.reduced_bytes - static_cast<double>(sum(parts, model::SentKind::reduced))) < 4);
      }
      if (layout.sequence_ranks > 1) CHECK(step.exchanged_bytes == sum(parts, model::SentKind::exchanged));
      if (dtype == model::Dtype::fp32) {
        const double one_rank = alone.steps[static_cast<std::size_t>(step.step - 1)].loss;
        CHECK(std::abs(step.loss / one_rank - 1) < 1e-6);
      }
    }
  }
}

}  // namespace
