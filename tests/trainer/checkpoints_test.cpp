// The run's folder: what is kept, what is refused, and replicas that have drifted apart.
#include "trainer/state/checkpoints.h"

#include <set>

#include "base/error.h"
#include "comm/host/self_communicator.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/run_config.h"
#include "trainer/step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;
namespace fs = std::filesystem;

namespace {

struct Aborted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Rank 0 of two; what rank 1 would say is `other`, or what rank 0 says.
class TwoRanks : public comm::SelfCommunicator {
 public:
  std::string other;
  int size() const override { return 2; }
  std::vector<std::string> all_gather(const std::string& text) override { return {text, other.empty() ? text : other}; }
  [[noreturn]] void abort(const std::string& message, int) override { throw Aborted(message); }
};

struct Fixture {
  tests::TemporaryFolder folder;
  model::ModelConfig model;
  std::unique_ptr<model::ParameterTable> table;
  std::unique_ptr<TrainingStep> step;
  ResumableState* state = nullptr;
  TwoRanks ranks;

  Fixture() {
    model.input_size = 4;
    model.hidden_size = 16;
    model.depth = 1;
    model.num_heads = 2;
    model.num_classes = 3;
    table = std::make_unique<model::ParameterTable>(model);
    step = make_cpu_dit_step({.model = model, .local_batch = 1, .global_batch = 1, .seed = 5, .dtype = "fp32"}, *table);
    state = step->state();
  }
  Checkpoints checkpoints(std::int64_t keep = 2, std::uint64_t seed = 5, const ResumingRun& run = {}) {
    fs::create_directories(folder.path() / "out");
    return {folder.path() / "out", keep, model, *table, ranks, seed, run};
  }
  fs::path file(int after_step) const {
    return folder.path() / "out" / ("checkpoint-" + std::to_string(after_step) + ".h5");
  }
};

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

TEST_CASE("only the newest checkpoints are kept") {
  Fixture f;
  auto checkpoints = f.checkpoints(2);
  for (const int step : {3, 6, 9, 12}) checkpoints.save(*f.state, step);
  CHECK_FALSE(fs::exists(f.file(3)));
  CHECK_FALSE(fs::exists(f.file(6)));
  CHECK(fs::exists(f.file(9)));
  CHECK(fs::exists(f.file(12)));
  CHECK(checkpoints.last() == f.file(12).string());
}

TEST_CASE("restore brings back the bits and the step") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  checkpoints.save(*f.state, 7);
  const std::uint64_t before = checksum(f.state->host().parameters, f.table->flat_size());
  f.state->host().parameters[0] += 1;
  CHECK(checksum(f.state->host().parameters, f.table->flat_size()) != before);
  CHECK(checkpoints.restore(f.file(7).string(), *f.state, 8) == 7);
  CHECK(checksum(f.state->host().parameters, f.table->flat_size()) == before);
  CHECK(checkpoints.restore("", *f.state, 8) == 0);
}

TEST_CASE("a checkpoint of another seed, or one that leaves nothing to do, is refused") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  checkpoints.save(*f.state, 7);
  CHECK_THAT(error_of([&] { f.checkpoints(2, 6).restore(f.file(7).string(), *f.state, 8); }),
             contains("run.seed = 5") && contains("checkpoint-7.h5"));
  CHECK_THAT(error_of([&] { checkpoints.restore(f.file(7).string(), *f.state, 7); }),
             contains("after step 7") && contains("run.steps = 7"));
}

TEST_CASE("a log that exists is not overwritten") {
  Fixture f;
  const auto checkpoints = f.checkpoints();
  CHECK(checkpoints.make_log_path(0) == (f.folder.path() / "out/run.h5").string());
  CHECK(checkpoints.make_log_path(40) == (f.folder.path() / "out/run-from-40.h5").string());
  f.folder.write("out/run.h5", "");
  CHECK_THAT(error_of([&] { checkpoints.make_log_path(0); }), contains("run.h5 exists") && contains("run.resume"));
}

TEST_CASE("replicas that differ end the run before anything is written") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  f.ranks.other = "0000000000000000";
  try {
    checkpoints.save(*f.state, 11);
    FAIL("the difference went unnoticed");
  } catch (const Aborted& error) {
    CHECK_THAT(error.what(), contains("step 11") && contains("rank 1"));
  }
  CHECK_FALSE(fs::exists(f.file(11)));
}

TEST_CASE("the checksum sees one bit, and a swap") {
  std::vector<float> values = {1, 2, 3, 4};
  const auto sum = checksum(values.data(), 4);
  std::swap(values[0], values[3]);
  CHECK(checksum(values.data(), 4) != sum);
  std::swap(values[0], values[3]);
  CHECK(checksum(values.data(), 4) == sum);
  values[2] = std::nextafter(values[2], 4.0f);
  CHECK(checksum(values.data(), 4) != sum);
}

std::string toml_of(const std::vector<std::string>& overrides) {
  RunConfig run;
  config::Table root;
  declare(root, run);
  config::load_text(root, "", "test", overrides);
  return config::to_toml(root);
}

/// What is said about a checkpoint of step 20, of a run with `theirs`, to one with `ours`.
std::vector<std::string> notes_on(const std::vector<std::string>& theirs, const std::vector<std::string>& ours,
                                  const DatasetIdentity& their_data = {2000, "a"},
                                  const DatasetIdentity& our_data = {2000, "a"}) {
  return compare_with_checkpoint("ck.h5", {20, 5, toml_of(theirs), their_data}, {toml_of(ours), our_data});
}

TEST_CASE("every key of a run is compared with a checkpoint, or free on purpose") {
  RunConfig run;
  config::Table root;
  declare(root, run);
  std::set<std::string> declared, ruled;
  for (const auto& [key, value] : config::values(root)) declared.insert(key);
  for (const KeyRule& rule : resume_rules()) CHECK(ruled.insert(rule.key).second);
  CHECK(ruled == declared);
}

TEST_CASE("a checkpoint of another network, seed or average is refused") {
  for (const char* key : {"model.num_heads=8", "model.mlp_ratio=3.5", "model.patch_size=4", "model.input_size=16",
                          "model.frames=4", "model.temporal_patch_size=2", "model.learn_sigma=false", "model.depth=3",
                          "model.num_classes=7", "run.seed=9", "optimizer.beta1=0.8", "optimizer.beta2=0.95"}) {
    const std::string name = std::string(key).substr(0, std::string(key).find('='));
    CHECK_THAT(error_of([&] { notes_on({}, {key}); }), contains("ck.h5 was written with " + name + " = ") &&
                                                           contains(", this run has ") &&
                                                           contains("set " + name + " = "));
    CHECK(notes_on({key}, {key}).empty());
  }
}

TEST_CASE("what changes the meaning of a step is said, what does not is not") {
  for (const char* key :
       {"model.class_dropout_prob=0.2", "run.dtype=bf16", "optimizer.learning_rate=2e-4", "optimizer.epsilon=1e-6",
        "optimizer.weight_decay=0.1", "optimizer.clip_norm=0.5", "optimizer.ema_decay=0.99", "optimizer.warmup_steps=7",
        "comm.wire=bf16", "optimizer.schedule=cosine", "optimizer.final_ratio=0.1", "optimizer.decay_steps=5",
        "batch.accumulate=2", "data.flip=true"}) {
    const auto notes = notes_on({}, {key});
    INFO(key);
    REQUIRE(notes.size() == 1);
    CHECK_THAT(notes[0], contains(std::string(key).substr(0, std::string(key).find('='))) &&
                             contains("the checkpoint's run had "));
  }
  CHECK(notes_on({}, {"run.steps=500", "run.threads=3", "run.name=b", "comm.bucket_mib=9", "checkpoint.keep=7",
                      "data.path=moved.h5"})
            .empty());
}

TEST_CASE("another end of a falling learning rate is said, with the rates before and behind") {
  const std::vector<std::string> cosine = {"run.steps=40", "optimizer.schedule=cosine", "optimizer.learning_rate=1e-3"};
  auto longer = cosine;
  longer[0] = "run.steps=80";
  const auto notes = notes_on(cosine, longer);
  REQUIRE(notes.size() == 1);
  CHECK_THAT(notes[0], contains("run.steps = 80, the checkpoint's run had 40") &&
                           contains("it was 0.0005 in step 20 and is 0.0008") && contains("in step 21"));
  const std::vector<std::string> stable = {"run.steps=40", "optimizer.schedule=wsd", "optimizer.decay_steps=20"};
  auto decayed = stable, go_on = stable;
  go_on[0] = "run.steps=80";
  CHECK(notes_on(stable, go_on).empty());  // step 20 is the last before the decay
  decayed[2] = go_on[2] = "optimizer.decay_steps=21";
  CHECK(notes_on(decayed, go_on).size() == 1);
}

TEST_CASE("samples that a changed batch leaves out or repeats are counted") {
  const auto more = notes_on({"batch.global=4"}, {"batch.global=8"});
  REQUIRE(more.size() == 1);
  CHECK_THAT(more[0], contains("places 0 to 79") && contains("step 21 begins at place 160: 80 samples are left out"));
  const auto fewer = notes_on({"batch.global=4"}, {"batch.global=2"});
  REQUIRE(fewer.size() == 1);
  CHECK_THAT(fewer[0], contains("step 21 begins at place 40: 40 samples are seen again"));
}

TEST_CASE("another dataset is said, whatever its name") {
  const auto longer = notes_on({"batch.global=150"}, {"batch.global=150"}, {2000, "a"}, {2001, "b"});
  REQUIRE(longer.size() == 1);
  CHECK_THAT(longer[0], contains("2001 samples (b)") && contains("had 2000 samples (a)") &&
                            contains("of the 1000 that it had seen in its epoch 2"));
  const auto changed = notes_on({}, {}, {2000, "a"}, {2000, "b"});
  REQUIRE(changed.size() == 1);
  CHECK_THAT(changed[0], contains("other contents"));
  const auto unknown = notes_on({"data.path=a.h5"}, {"data.path=b.h5"}, {});
  REQUIRE(unknown.size() == 1);
  CHECK_THAT(unknown[0], contains("a.h5") && contains("b.h5") && contains("does not say"));
}

TEST_CASE("what a checkpoint does not say is not compared") {
  CHECK(compare_with_checkpoint("ck.h5", {}, {toml_of({"model.num_heads=4"}), {10, "a"}}).empty());
  CHECK(compare_with_checkpoint("ck.h5", {20, 5, "[model]\ndepth = 28\n", {}},
                                {toml_of({"optimizer.beta1=0.5"}), {10, "a"}})
            .empty());
  CHECK_THAT(error_of([] {
               compare_with_checkpoint("ck.h5", {20, 5, "[model]\nwings = 2\n", {}}, {toml_of({}), {}});
             }),
             contains("ck.h5:config_toml:2") && contains("model.wings"));
}

TEST_CASE("a state that is not finite is neither written nor called good") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  CHECK_THAT(checkpoints.last_in_words(), contains("no checkpoint had been written"));
  checkpoints.save(*f.state, 3);
  f.state->host().exp_avg_sq[0] = std::numeric_limits<float>::infinity();
  CHECK_THAT(error_of([&] { checkpoints.save(*f.state, 6); }),
             contains("no checkpoint of step 6") && contains("/optimizer/exp_avg_sq/") && contains("holds infinity") &&
                 contains("the last good checkpoint is " + f.file(3).string()));
  CHECK_FALSE(fs::exists(f.file(6)));
  CHECK(checkpoints.last() == f.file(3).string());
}

}  // namespace
