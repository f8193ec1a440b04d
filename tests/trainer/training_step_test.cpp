// The loop drives any TrainingStep: here one with no model, parameters or state, which sleeps to the time at which each
// gradient is ready and hands it to the reducer. Its log has the columns that a DiT's has.
#include <chrono>
#include <cmath>
#include <thread>

#include "base/error.h"
#include "base/hdf5.h"
#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"
#include "tests/command.h"
#include "trainer/backend.h"
#include "trainer/data/data.h"
#include "trainer/loop.h"
#include "trainer/step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::contains, gpumonth::tests::ranks, gpumonth::tests::transport;
namespace fs = std::filesystem;

namespace {

constexpr double kForward_s = 4e-3, kSegment_s = 3e-3, kUpdate_s = 2e-3;

class SleepingStep final : public TrainingStep {
 public:
  const std::vector<comm::Segment>& segments() const override { return segments_; }
  float* gradient_buffer() override { return gradients_.get(); }
  void* stream() override { return nullptr; }
  void attach(comm::GradientReducer& reducer, comm::Communicator&, bool) override { reducer_ = &reducer; }

  void start(const Batch&, const OptimizerSettings&, std::int64_t step) override {
    reducer_->begin_step(step);
    sleep(kForward_s);
    reducer_->begin_backward();
    for (std::size_t segment = 0; segment < segments_.size(); ++segment) {
      sleep(kSegment_s);
      std::fill_n(gradients_.get() + segments_[segment].offset, segments_[segment].count,
                  1.0f + static_cast<float>(segment));
      reducer_->ready(static_cast<int>(segment));
    }
    reducer_->wait();
    sleep(kUpdate_s);
  }

  StepResult finish() override {
    for (std::size_t segment = 0; segment < segments_.size(); ++segment)
      for (std::int64_t i = 0; i < segments_[segment].count; ++i)
        wrong_sums += gradients_[segments_[segment].offset + i] != static_cast<float>((segment + 1) * ranks().size());
    return {.loss_sum = 0.5,
            .grad_norm = 2,
            .forward_s = kForward_s,
            .backward_s = kSegment_s * static_cast<double>(segments_.size()),
            .optimizer_s = kUpdate_s,
            .communication = reducer_->finish()};
  }

  int wrong_sums = 0;

 private:
  static void sleep(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

  std::vector<comm::Segment> segments_{{0, 2000}, {2000, 3000}, {5000, 1000}};
  std::shared_ptr<float[]> gradients_ = transport().allocate(6000);
  comm::GradientReducer* reducer_ = nullptr;
};

/// Rank 0's folder is the one that is written to.
struct Run {
  tests::TemporaryFolder folder;
  RunConfig config;

  Run() {
    config.model.input_size = 4;
    config.model.hidden_size = 16;
    config.model.depth = 1;
    config.model.num_heads = 2;
    config.model.num_classes = 3;
    config.run.directory = (folder.path() / "out").string();
    config.run.steps = 6;
    config.run.dtype = "fp32";
    config.run.threads = 1;
    config.batch.global = 2 * ranks().size();
    config.comm.bucket_mib = 0.004;
    config.log.bucket_every = 2;
    config.log.measure_gemm_peak = false;
    config.checkpoint.every_steps = 2;
  }
  TrainResult train(TrainingStep& step) const {
    return trainer::train(config, resolve(config, transport()), transport(), step);
  }
  template <class F>
  std::string error_of(F&& f) const {
    try {
      f();
    } catch (const UserError& error) {
      return error.what();
    }
    return "no error";
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder.path() / "out")) names.push_back(entry.path().filename());
    return names;
  }
};

TEST_CASE("a step without a DiT is run to its end, logged, and leaves no checkpoint") {
  const Run run;
  SleepingStep step;
  const TrainResult result = run.train(step);
  CHECK(step.wrong_sums == 0);
  CHECK(result.last_step == 6);
  CHECK(result.checkpoint.empty());
  if (ranks().rank() != 0) return;
  CHECK(run.files() == std::vector<std::string>{"run.h5"});

  const runlog::Run log = runlog::read(result.run_log);
  CHECK(log.clean_close);
  REQUIRE(log.steps.size() == 6);
  for (const runlog::StepRecord& s : log.steps) {
    INFO("step " << s.step);
    CHECK(s.loss == 0.5 * ranks().size() / static_cast<double>(run.config.batch.global));
    CHECK(s.grad_norm == 2);
    CHECK(s.forward_s == kForward_s);
    CHECK(s.backward_s == Approx(3 * kSegment_s));
    CHECK(s.optimizer_s == kUpdate_s);
    CHECK(s.step_time_s >= kForward_s + 3 * kSegment_s + kUpdate_s);
    CHECK(s.phase == (s.step <= 3 ? runlog::Phase::warm_up : runlog::Phase::steady));
  }
  if (ranks().size() == 1) return;
  CHECK(log.steps.back().comm_s > 0);
  REQUIRE(!log.buckets.empty());
  for (const runlog::BucketRecord& b : log.buckets) CHECK(b.ready_s >= kForward_s + kSegment_s);
}

TEST_CASE("its log has the columns of a DiT's") {
  const Run sleeping, dit;
  SleepingStep step;
  const TrainResult of_sleeping = sleeping.train(step);
  const auto dit_step = make_dit_step(dit.config, resolve(dit.config, transport()), transport());
  const TrainResult of_dit = dit.train(*dit_step);
  CHECK(!of_dit.checkpoint.empty());
  if (ranks().rank() != 0) return;
  const auto one = hdf5::File::open(of_sleeping.run_log), other = hdf5::File::open(of_dit.run_log);
  CHECK(one.names("/") == other.names("/"));
  for (const char* group : {"/steps", "/ranks", "/buckets"}) CHECK(one.names(group) == other.names(group));
  CHECK(one.attribute_names("/") == other.attribute_names("/"));
}

TEST_CASE("there is nothing that it could go on from") {
  Run run;
  run.config.run.resume = "out/checkpoint-2.h5";
  SleepingStep step;
  CHECK_THAT(run.error_of([&] { run.train(step); }),
             contains("run.resume = out/checkpoint-2.h5") && contains("no state"));
  CHECK_FALSE(fs::exists(run.folder.path() / "out"));
}

TEST_CASE("data that cannot be read end it without the promise of a checkpoint") {
  Run run;
  run.config.batch.global = ranks().size();
  run.config.data.path = (run.folder.path() / "latents.h5").string();
  constexpr std::int64_t kSamples = 64, kSample = 4 * 4 * 4;
  std::vector<float> latents(kSamples * kSample, 0.5f);
  // the first of step 4
  latents[shuffled_index(3 * run.config.batch.global, kSamples, run.config.run.seed) * kSample] = std::nanf("");
  auto file = hdf5::File::create(run.config.data.path);
  file.create_dataset<float>("/latents", {kSamples, 4, 4, 4}).write(latents.data());
  file.create_dataset<std::int32_t>("/labels", {kSamples}).write(std::vector<std::int32_t>(kSamples).data());
  file.close();
  SleepingStep step;
  const std::string error = run.error_of([&] { run.train(step); });
  CHECK_THAT(error, contains("step 4: ") && contains("Stopped after step 3, the log is ") && !contains("checkpoint"));
}

}  // namespace
