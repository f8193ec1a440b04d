// Timesteps and statistics by hand; which sample meets which noise level, on ranks and in batches that do not divide.
#include "trainer/quality/validation.h"

#include <cmath>
#include <numeric>
#include <set>

#include "comm/host/self_communicator.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

/// Sample i is i in every value, its label i % 10.
class CountingDataset : public Dataset {
 public:
  std::int64_t size() const override { return 1000; }
  std::string description() const override { return "counts"; }
  DatasetIdentity identity() const override { return {}; }
  void read(std::span<const std::int64_t> indices, float* latents, std::int32_t* labels) override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      std::fill_n(latents + 4 * i, 4, static_cast<float>(indices[i]));
      labels[i] = static_cast<std::int32_t>(indices[i] % 10);
    }
  }
};

/// Its loss of a row says which sample, noise and timestep it was given.
class EchoModel : public Model {
 public:
  double forward(const Batch& b, std::int64_t step, std::vector<double>* losses) override {
    CHECK(step == 0);
    CHECK(b.noise.empty());  // drawn, keyed by sample
    CHECK(b.labels.size() == 7);
    losses->clear();
    for (std::size_t i = 0; i < b.t.size(); ++i) {
      CHECK(b.labels[i] == static_cast<int>(b.latents[4 * i]) % 10);
      losses->push_back(1e6 * double{b.latents[4 * i]} + b.t[i] + 1e-6 * static_cast<double>(b.first_sample));
    }
    return 0;
  }
  float* parameters() override { return nullptr; }
  void parameters_changed() override {}
  std::vector<float> prediction() override { return {}; }
  void backward() override {}
  std::vector<float> gradients() override { return {}; }
  void start_samples(const SampleBatch&, const std::vector<float>&) override {}
  void denoise(const ops::ReverseStep&, const std::vector<float>&) override {}
  void wait() override {}
  std::vector<float> samples() override { return {}; }
};

}  // namespace

TEST_CASE("every noise level has its share of the timesteps") {
  const auto all = validation_timesteps(1000);
  for (std::size_t i = 0; i < 1000; ++i) REQUIRE(all[i] == static_cast<int>(i));
  CHECK(validation_timesteps(20).front() == 25);
  CHECK(validation_timesteps(20).back() == 975);
  for (const std::int64_t n : {20, 23, 37, 999, 1001, 5000}) {
    std::vector<int> levels(10);
    for (const int t : validation_timesteps(n)) ++levels[static_cast<std::size_t>(t / 100)];
    CAPTURE(n);
    CHECK(*std::min_element(levels.begin(), levels.end()) >= 2);
    CHECK(*std::max_element(levels.begin(), levels.end()) <= n / 10 + 1);
  }
}

TEST_CASE("mean and standard errors by hand: what differs between levels is no uncertainty") {
  std::vector<double> losses;
  for (int level = 0; level < 10; ++level) losses.insert(losses.end(), {double(level) - 0.5, double(level) + 0.5});
  const ValidationLoss v = summarise(losses);
  CHECK(v.loss == Approx(4.5));
  // A level of two values 1 apart: s^2 = 0.5, s^2 / n = 0.25; the mean of ten such means: sqrt(10 x 0.25) / 10.
  CHECK(v.standard_error == Approx(std::sqrt(2.5) / 10));
  REQUIRE(v.by_noise_level.size() == 10);
  CHECK(v.by_noise_level[3].t_from == 300);
  CHECK(v.by_noise_level[3].t_to == 399);
  CHECK(v.by_noise_level[3].loss == Approx(3));
  CHECK(v.by_noise_level[3].standard_error == Approx(0.5));
  CHECK(summarise(std::vector<double>(40, 0.25)).standard_error == Approx(0).margin(1e-15));
}

TEST_CASE("each held-out sample is met once, in its place, by its own timestep") {
  model::ModelConfig m;
  m.in_channels = 1;
  m.input_size = 2;
  EchoModel network;
  CountingDataset data;
  comm::SelfCommunicator alone;
  int batches = 0;
  const auto losses = validation_losses(30, 7, m, network, data, alone, [&] { ++batches; });
  REQUIRE(losses.size() == 30);
  CHECK(batches == 5);
  const auto t = validation_timesteps(30);
  for (std::size_t i = 0; i < 30; ++i)
    CHECK(losses[i] ==
          Approx(1e6 * static_cast<double>(i) + t[i] + 1e-6 * static_cast<double>(i / 7 * 7)).epsilon(1e-15));
}
