// The gradient noise scale that a run logs, against the covariance of many gradients at the same weights; on 2 and 4 ranks,
// with micro-batches and a sharded optimizer.
#include "scaling/noise_scale.h"

#include <fmt/format.h>

#include <cmath>

#include "comm/host/self_communicator.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/trainer/runs.h"
#include "trainer/data/batch_loader.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/model.h"
#include "trainer/state/checkpoint.h"

using namespace gpumonth;
using namespace gpumonth::tests;
using gpumonth::scaling::NoiseScale;
namespace fs = std::filesystem;

namespace {

constexpr int kLearned = 60;  // steps before the weights are held
constexpr int kGradients = 2000, kSmall = 8;

struct Direct {
  double squared_gradient, trace;
  double samples() const { return trace / squared_gradient; }
};

/// Of kGradients gradients, each the mean over kSmall samples that no run sees: |mean|^2 less what noise adds to it, and
/// kSmall times the trace of their covariance.
Direct direct_estimate(const fs::path& file, const fs::path& checkpoint) {
  const trainer::RunConfig config = trainer::load_run(file, {fmt::format("batch.global={}", kSmall)}, 1);
  const model::ParameterTable table(config.model);
  const auto network = trainer::make_cpu_dit_model(
      {.model = config.model, .local_batch = kSmall, .global_batch = kSmall, .seed = config.run.seed, .dtype = "fp32"},
      table);
  trainer::read_checkpoint(checkpoint, table, {.parameters = network->parameters()});
  network->parameters_changed();
  const auto dataset = trainer::make_procedural_dataset(config.model, config.run.seed);
  comm::SelfCommunicator alone;
  trainer::BatchLoader loader(config, *dataset, alone);
  trainer::Batch batch;
  batch.latents.resize(static_cast<std::size_t>(kSmall * config.model.latent_size()));
  batch.labels.resize(kSmall);
  batch.t.resize(kSmall);
  std::vector<double> sum(static_cast<std::size_t>(table.flat_size()), 0);
  double squares = 0;
  for (int i = 0; i < kGradients; ++i) {
    const std::int64_t step = 1'000'000 + i;
    loader.load(step, batch);
    REQUIRE_FALSE(loader.failed());
    network->forward(batch, step);
    network->backward();
    const std::vector<float> gradients = network->gradients();
    for (std::size_t j = 0; j < sum.size(); ++j) {
      const double g = double{gradients[j]};
      sum[j] += g;
      squares += g * g;
    }
  }
  constexpr double n = kGradients;
  double mean_square = 0;
  for (const double s : sum) mean_square += s * s / (n * n);
  const double covariance = (squares - n * mean_square) / (n - 1);  // trace, of means over kSmall samples
  return {mean_square - covariance / n, kSmall * covariance};
}

/// A run that holds the weights of the checkpoint.
NoiseScale held(int ranks, const fs::path& file, const fs::path& directory, const fs::path& checkpoint, int steps,
                std::vector<std::string> more) {
  for (const std::string& setting :
       {"run.directory=" + directory.string(), "run.resume=" + checkpoint.string(), std::string("batch.global=32"),
        fmt::format("run.steps={}", kLearned + steps), std::string("optimizer.learning_rate=0"),
        std::string("checkpoint.at_end=false"), std::string("log.noise_scale=true")})
    more.push_back(setting);
  const CommandResult result = train(ranks, file, more);
  CHECK_THAT(result.out, contains("gradient noise scale "));
  const runlog::Run log = runlog::read(directory / fmt::format("run-from-{}.h5", kLearned));
  REQUIRE(log.steps.size() == static_cast<std::size_t>(steps));
  const NoiseScale scale = scaling::noise_scale(log);
  REQUIRE(scale.steps == steps / 2);
  CHECK(scale.batch == 32);
  return scale;
}

TEST_CASE("the logged noise scale is that of many small gradients at the same weights") {
  const TemporaryFolder folder;
  const fs::path file = write_run_file(folder),
                 checkpoint = folder.path() / fmt::format("out/checkpoint-{}.h5", kLearned);
  train(0, file, {fmt::format("run.steps={}", kLearned)});
  const Direct direct = direct_estimate(file, checkpoint);
  INFO("direct: |G|^2 " << direct.squared_gradient << ", S " << direct.trace << ", B " << direct.samples());
  const auto check = [&](int ranks, const std::string& name, int steps, const std::vector<std::string>& more) {
    const NoiseScale scale = held(ranks, file, folder.path() / name, checkpoint, steps, more);
    INFO(name << ": |G|^2 " << scale.squared_gradient << ", S " << scale.trace << ", B " << scale.samples << " ("
              << scale.interval.low << " to " << scale.interval.high << ")");
    CHECK(scale.trace == Approx(direct.trace).epsilon(0.1));
    CHECK(scale.interval.low < 1.1 * direct.samples());
    CHECK(scale.interval.high > 0.9 * direct.samples());
    return scale;
  };
  const NoiseScale alone = check(0, "alone", 1000, {"batch.accumulate=4"});
  CHECK(alone.small_batch == 8);
  CHECK(alone.samples == Approx(direct.samples()).epsilon(0.1));
  CHECK(alone.squared_gradient == Approx(direct.squared_gradient).epsilon(0.1));
  const auto holds = [](const NoiseScale& scale, const NoiseScale& other) {
    return scale.interval.low < other.samples && other.samples < scale.interval.high;
  };
  const NoiseScale two = check(2, "two", 120, {}), four = check(4, "four", 120, {});
  CHECK((holds(two, four) && holds(four, two)));
  const NoiseScale sharded = check(2, "sharded", 120, {"batch.accumulate=2", "comm.sharding=optimizer"});
  CHECK(sharded.small_batch == four.small_batch);
  CHECK(sharded.samples == Approx(four.samples).epsilon(1e-3));  // the same small gradients
}

TEST_CASE("one small gradient has no noise scale, which is said; nor has a run that was not told to log it") {
  const TemporaryFolder folder;
  const fs::path file = write_run_file(folder);
  const auto check = [&](int ranks, const char* name, const std::vector<std::string>& more) {
    std::vector<std::string> settings = more;
    settings.push_back(std::string("run.directory=") + (folder.path() / name).string());
    settings.push_back("run.steps=50");
    const CommandResult result = train(ranks, file, settings);
    CHECK(result.out.find("gradient noise scale") == std::string::npos);
    const runlog::Run log = runlog::read(folder.path() / name / "run.h5");
    CHECK(log.info.small_batch == 0);
    CHECK(std::isnan(log.steps.back().small_grad_norm));
    return result.out;
  };
  CHECK_THAT(check(0, "alone", {"log.noise_scale=true"}), contains("note: log.noise_scale = true: "));
  CHECK(check(2, "off", {}).find("noise_scale = true") == std::string::npos);
}

}  // namespace
