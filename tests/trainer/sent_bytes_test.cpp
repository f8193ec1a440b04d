// What a step's log says that a rank sent is what model/communication.h predicts, to the byte, and what `gpumonth simulate` makes of
// one rank's log; and ranks that share samples train alike in shards.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <stdexcept>

#include "model/communication.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/run_config.h"

using namespace gpumonth;
using namespace gpumonth::tests;

namespace {

#ifdef GPUMONTH_HAVE_SIMGRID
constexpr bool kHasSimGrid = true;
#else
constexpr bool kHasSimGrid = false;
#endif

struct Layout {
  int ranks;
  std::vector<std::string> settings;
};

/// One rank's log, of whole samples or of its share of them, simulated on the ranks of `config` on one host. Throws where `simulate` fails.
runlog::Run simulated(const TemporaryFolder& folder, const std::string& log, const trainer::RunConfig& config,
                      int ranks, const std::string& name) {
  const std::string out = (folder.path() / ("simulated-" + name)).string();
  std::string command = fmt::format(
      "{} simulate {} --cluster {}/configs/clusters/dgx-h100.toml --ranks {} --steps 1 -o {} --batch-per-rank {} --accumulate {}",
      GPUMONTH_BINARY, log, GPUMONTH_SOURCE_DIR, ranks, out, trainer::local_batch(config, ranks),
      config.batch.accumulate);
  command += " --sharding " + config.comm.sharding;
  if (config.comm.shard_group > 0) command += fmt::format(" --shard-group {}", config.comm.shard_group);
  if (config.run.sequence_parallel > 1) command += fmt::format(" --sequence-parallel {}", config.run.sequence_parallel);
  const CommandResult result = run_command(command);
  if (result.exit_code != 0) throw std::runtime_error(command + ": " + result.err);
  return runlog::read(fmt::format("{}/simulated-n{}.h5", out, ranks));
}

/// The trainer's counts are sums of fractions of bytes.
void check_sent_alike(const runlog::StepRecord& simulated, const runlog::StepRecord& trained) {
  if (!std::isnan(trained.gathered_bytes)) {
    CHECK(std::abs(simulated.gathered_bytes - trained.gathered_bytes) < 0.5);
    CHECK(std::abs(simulated.reduced_bytes - trained.reduced_bytes) < 0.5);
  }
  CHECK(simulated.exchanged_bytes == trained.exchanged_bytes);
}

TEST_CASE("bytes of gathers, reductions and all-to-alls are the predicted ones, and losses those of one rank") {
  const TemporaryFolder folder;
  const auto file = write_run_file(folder);
  const std::vector<std::string> of_all = {"model.depth=3",  "model.num_heads=4", "model.frames=4",
                                           "batch.global=8", "run.steps=4",       "checkpoint.at_end=false"};
  const auto trained = [&](const std::string& name, int ranks, std::vector<std::string> settings) {
    settings.insert(settings.end(), of_all.begin(), of_all.end());
    settings.push_back("run.directory=" + (folder.path() / name).string());
    train(ranks, file, settings);
    return runlog::read(folder.path() / name / "run.h5", runlog::Kind::shares_too);
  };
  // one rank's, with what of the settings is its own
  std::map<std::string, runlog::Run> of_one_rank;
  const auto alone_with = [&](std::vector<std::string> settings) -> const runlog::Run& {
    std::erase_if(settings, [](const std::string& s) {
      return !s.starts_with("run.recompute") && !s.starts_with("run.dtype") &&
             !s.starts_with("run.sequence_parallel_emulated");
    });
    const std::string name = fmt::format("alone-{}", fmt::join(settings, "-"));
    if (!of_one_rank.contains(name)) of_one_rank[name] = trained(name, 0, settings);
    return of_one_rank[name];
  };
  const runlog::Run alone = alone_with({});
  const std::vector<Layout> layouts = {
      {2, {"comm.sharding=full"}},
      {4, {"comm.sharding=full", "comm.shard_group=2", "batch.accumulate=2"}},
      {4, {"comm.sharding=full", "batch.accumulate=2"}},
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
    if (kHasSimGrid)
      check_sent_alike(simulated(folder, alone_with(settings).path, config, ranks, name).steps.front(),
                       log.steps.back());
    if (const int sharing = config.run.sequence_parallel; kHasSimGrid && sharing > 1) {
      std::vector<std::string> one_of = settings;
      one_of.push_back(fmt::format("run.sequence_parallel_emulated={}", sharing));
      check_sent_alike(simulated(folder, alone_with(one_of).path, config, ranks, name + "-share").steps.front(),
                       log.steps.back());
    }
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
