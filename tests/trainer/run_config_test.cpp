// Run files: defaults, overrides, what is logged reads back to the same run.
#include "trainer/run_config.h"

#include <fmt/format.h>

#include "base/error.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;
using gpumonth::tests::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

std::string error_of(const fs::path& file, const std::vector<std::string>& overrides, int ranks) {
  try {
    load_run(file, overrides, ranks);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

std::string toml_of(RunConfig config) {
  config::Table root;
  declare(root, config);
  return config::to_toml(root);
}

TEST_CASE("every run file of the project loads") {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(GPUMONTH_SOURCE_DIR) / "configs/runs")) {
    if (entry.path().extension() != ".toml") continue;
    INFO(entry.path());
    CHECK(load_run(entry.path(), {}, 1).run.steps > 0);
    ++files;
  }
  CHECK(files > 0);
}

TEST_CASE("file, then overrides in their order") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml", "[run]\nsteps = 7\nname = \"a\"\n[model]\ndepth = 3\n");
  const RunConfig c = load_run(file, {"run.steps=8", "run.steps=9", "optimizer.clip_norm=0"}, 1);
  CHECK(c.run.steps == 9);
  CHECK(c.run.name == "a");
  CHECK(c.model.depth == 3);
  CHECK(c.optimizer.clip_norm == 0);
  CHECK(c.optimizer.beta2 == RunConfig().optimizer.beta2);
}

TEST_CASE("the resolved configuration reads back to itself") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml",
                                 "[run]\nseed = 9223372036854775807\nname = \"two \\\"words\\\"\"\n"
                                 "[optimizer]\nlearning_rate = 3.3e-5\n[model]\nlearn_sigma = false\n");
  const std::string text = toml_of(load_run(file, {"model.frames=4", "comm.bucket_mib=0.3"}, 1));
  const RunConfig again = load_run(folder.write("again.toml", text), {}, 1);
  CHECK(toml_of(again) == text);
  CHECK(again.run.seed == 9223372036854775807u);
  CHECK(again.run.name == "two \"words\"");
  CHECK(again.optimizer.learning_rate == 3.3e-5);
  CHECK(again.comm.bucket_mib == 0.3);
  CHECK_FALSE(again.model.learn_sigma);
  CHECK(again.model.frames == 4);
}

TEST_CASE("ranks divide the global batch") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml", "[batch]\nglobal = 12\n");
  for (const int ranks : {1, 2, 3, 4, 6, 12}) CHECK(load_run(file, {}, ranks).batch.global == 12);
  for (const int ranks : {5, 8, 24})
    CHECK_THAT(error_of(file, {}, ranks), contains("batch.global = 12") && contains(fmt::format("{} ranks", ranks)));
  // The value that the message proposes works.
  CHECK_THAT(error_of(file, {}, 8), contains("--set batch.global=16"));
  CHECK(load_run(file, {"batch.global=16"}, 8).batch.global == 16);
}

TEST_CASE("so do micro-batches") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml", "[batch]\nglobal = 12\naccumulate = 3\n");
  for (const int ranks : {1, 2, 4}) CHECK(load_run(file, {}, ranks).batch.accumulate == 3);
  CHECK_THAT(error_of(file, {}, 3), contains("batch.global = 12 is not divisible by 3 ranks x batch.accumulate = 3") &&
                                        contains("--set batch.global=18"));
  CHECK(load_run(file, {"batch.global=18"}, 3).batch.global == 18);
  CHECK_THAT(error_of(file, {"batch.accumulate=5"}, 1), contains("1 rank x batch.accumulate = 5"));
  CHECK_THAT(error_of(file, {"batch.accumulate=0"}, 1), contains("batch.accumulate"));
}

TEST_CASE("a schedule fits into its run") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml", "[run]\nsteps = 100\n[optimizer]\nwarmup_steps = 10\n");
  CHECK(load_run(file, {"optimizer.schedule=cosine", "optimizer.final_ratio=0.1"}, 1).optimizer.schedule == "cosine");
  CHECK_THAT(error_of(file, {"optimizer.schedule=wsd"}, 1), contains("optimizer.decay_steps = 0") && contains("20"));
  CHECK(load_run(file, {"optimizer.schedule=wsd", "optimizer.decay_steps=90"}, 1).optimizer.decay_steps == 90);
  CHECK_THAT(
      error_of(file, {"optimizer.schedule=wsd", "optimizer.decay_steps=91"}, 1),
      contains("optimizer.warmup_steps = 10") && contains("optimizer.decay_steps = 91") && contains("run.steps = 100"));
  CHECK_THAT(error_of(file, {"optimizer.schedule=trapezoidal"}, 1), contains("wsd"));
  CHECK_THAT(error_of(file, {"optimizer.final_ratio=1.5"}, 1), contains("optimizer.final_ratio"));
}

TEST_CASE("the procedural set is not mirrored: its classes are directions") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml", "[data]\nflip = true\n");
  CHECK_THAT(error_of(file, {}, 1), contains("data.flip = true") && contains("data.path"));
  CHECK(load_run(file, {"data.path=latents.h5"}, 1).data.flip);
}

TEST_CASE("what is computed again has three names, and the two that it once had") {
  const TemporaryFolder folder;
  const auto file = folder.write("r.toml", "[run]\nrecompute = true\n");
  CHECK(load_run(file, {}, 1).run.recompute == "full");
  CHECK(load_run(file, {"run.recompute=false"}, 1).run.recompute == "none");
  CHECK(load_run(file, {"run.recompute=linear"}, 1).run.recompute == "linear");
  CHECK_THAT(error_of(file, {"run.recompute=selective"}, 1), contains("did you mean 'linear'?"));
}

}  // namespace
