// The run's folder: what is kept, what is refused, and replicas that have drifted apart.
#include "trainer/checkpoints.h"

#include "base/error.h"
#include "comm/launch.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains;
namespace fs = std::filesystem;

namespace {

struct Aborted : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Rank 0 of two; what rank 1 would say is `other`, or what rank 0 says.
class TwoRanks : public comm::Communicator {
 public:
  std::string other;
  int rank() const override { return 0; }
  int size() const override { return 2; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 2; }
  std::string transport() const override { return "test"; }
  void all_reduce_sum(std::span<float>) override {}
  void all_reduce_sum(std::span<double>) override {}
  void broadcast(std::span<std::byte>, int) override {}
  void barrier() override {}
  std::vector<float> gather(std::span<const float> values, int) override {
    return {values.begin(), values.end()};
  }
  std::vector<std::string> all_gather(const std::string& text) override {
    return {text, other.empty() ? text : other};
  }
  [[noreturn]] void abort(const std::string& message, int) override { throw Aborted(message); }
  std::shared_ptr<float[]> allocate(std::int64_t count) override {
    return std::shared_ptr<float[]>(new float[static_cast<std::size_t>(count)]());
  }
  std::shared_ptr<std::byte[]> allocate_common(std::size_t) override { return nullptr; }
  std::unique_ptr<comm::GradientReducer> make_reducer(float*, std::vector<comm::Segment>, std::int64_t, void*,
                                                      const comm::ReducerOptions&) override {
    return nullptr;
  }
  std::unique_ptr<Communicator> duplicate(const char*) override { return nullptr; }
  void set_context(const char*, std::int64_t) override {}
  std::string description() const override { return "test"; }
};

struct Fixture {
  tests::TemporaryFolder folder;
  model::ModelConfig model;
  std::unique_ptr<model::ParameterTable> table;
  std::vector<float> gradients;
  std::unique_ptr<Step> step;
  TwoRanks ranks;

  Fixture() {
    model.input_size = 4;
    model.hidden_size = 16;
    model.depth = 1;
    model.num_heads = 2;
    model.num_classes = 3;
    table = std::make_unique<model::ParameterTable>(model);
    gradients.resize(table->flat_size());
    step = make_cpu_dit_step({.model = model, .local_batch = 1, .global_batch = 1, .seed = 5, .dtype = "fp32", .gradients = gradients.data()}, *table);
  }
  Checkpoints checkpoints(std::int64_t keep = 2) {
    fs::create_directories(folder.path() / "out");
    return {folder.path() / "out", keep, model, *table, ranks};
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
  for (const int step : {3, 6, 9, 12}) checkpoints.save(*f.step, step, 5, "");
  CHECK_FALSE(fs::exists(f.file(3)));
  CHECK_FALSE(fs::exists(f.file(6)));
  CHECK(fs::exists(f.file(9)));
  CHECK(fs::exists(f.file(12)));
  CHECK(checkpoints.last() == f.file(12).string());
}

TEST_CASE("restore brings back the bits and the step") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  checkpoints.save(*f.step, 7, 5, "");
  const std::uint64_t before = checksum(f.step->state().parameters, f.table->flat_size());
  f.step->state().parameters[0] += 1;
  CHECK(checksum(f.step->state().parameters, f.table->flat_size()) != before);
  CHECK(checkpoints.restore(f.file(7).string(), *f.step, 5, 8) == 7);
  CHECK(checksum(f.step->state().parameters, f.table->flat_size()) == before);
  CHECK(checkpoints.restore("", *f.step, 5, 8) == 0);
}

TEST_CASE("a checkpoint of another seed, or one that leaves nothing to do, is refused") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  checkpoints.save(*f.step, 7, 5, "");
  CHECK_THAT(error_of([&] { checkpoints.restore(f.file(7).string(), *f.step, 6, 8); }),
             contains("run.seed = 5") && contains("checkpoint-7.h5"));
  CHECK_THAT(error_of([&] { checkpoints.restore(f.file(7).string(), *f.step, 5, 7); }),
             contains("after step 7") && contains("run.steps = 7"));
}

TEST_CASE("a log that exists is not overwritten") {
  Fixture f;
  const auto checkpoints = f.checkpoints();
  CHECK(checkpoints.make_log_path(0) == (f.folder.path() / "out/run.h5").string());
  CHECK(checkpoints.make_log_path(40) == (f.folder.path() / "out/run-from-40.h5").string());
  f.folder.write("out/run.h5", "");
  CHECK_THAT(error_of([&] { checkpoints.make_log_path(0); }),
             contains("run.h5 exists") && contains("run.resume"));
}

TEST_CASE("replicas that differ end the run before anything is written") {
  Fixture f;
  auto checkpoints = f.checkpoints();
  f.ranks.other = "0000000000000000";
  try {
    checkpoints.save(*f.step, 11, 5, "");
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

}  // namespace
