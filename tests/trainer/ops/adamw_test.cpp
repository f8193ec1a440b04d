#include "trainer/ops/adamw.h"

#include <cmath>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::ops {
namespace {

using tests::random_values, tests::same_bits, tests::relative_distance;

constexpr std::int64_t kSize = 70001;  // neither a multiple of a vector nor of a block
constexpr int kSteps = 5;
constexpr AdamWHyperparameters kH = {.learning_rate = 3e-3, .weight_decay = 0.1, .ema_decay = 0.99};

struct State {
  std::vector<float> parameters = random_values(kSize, 1), exp_avg = std::vector<float>(kSize),
                     exp_avg_sq = std::vector<float>(kSize), ema = parameters;
  std::vector<bf16> rounded = std::vector<bf16>(kSize);
};

double scale_of(int step) { return 1.0 / step; }

State run(int threads) {
  Cpu cpu{threads};
  State s;
  for (int step = 1; step <= kSteps; ++step) {
    const auto gradients = random_values(kSize, 100 + step, 0.1f);
    const AdamWStep constants = adamw_step(kH, step);
    const Clipping clipping{.scale = static_cast<float>(scale_of(step))};
    adamw(cpu, &constants, &clipping, kSize, gradients.data(), s.parameters.data(), s.exp_avg.data(),
          s.exp_avg_sq.data(), s.ema.data(), s.rounded.data());
  }
  return s;
}

TEST_CASE("adamw follows torch.optim.AdamW and the EMA in double precision") {
  const State got = run(2), start;
  std::vector<double> p(start.parameters.begin(), start.parameters.end()), ema = p, m(kSize), v(kSize);
  for (int step = 1; step <= kSteps; ++step) {
    const auto gradients = random_values(kSize, 100 + step, 0.1f);
    for (std::size_t i = 0; i < kSize; ++i) {
      const double g = double{gradients[i]} * scale_of(step);
      p[i] *= 1 - kH.learning_rate * kH.weight_decay;
      m[i] += (g - m[i]) * (1 - kH.beta1);
      v[i] = v[i] * kH.beta2 + g * g * (1 - kH.beta2);
      const double denominator = std::sqrt(v[i]) / std::sqrt(1 - std::pow(kH.beta2, step)) + kH.epsilon;
      p[i] -= kH.learning_rate / (1 - std::pow(kH.beta1, step)) * m[i] / denominator;
      ema[i] = kH.ema_decay * ema[i] + (1 - kH.ema_decay) * p[i];
    }
  }
  CHECK(relative_distance(got.parameters, p) < 2e-7);
  CHECK(relative_distance(got.exp_avg, m) < 5e-7);
  CHECK(relative_distance(got.exp_avg_sq, v) < 5e-7);
  CHECK(relative_distance(got.ema, ema) < 2e-7);
  double moved = 0;
  for (std::size_t i = 0; i < kSize; ++i) moved = std::max(moved, std::abs(p[i] - double{start.parameters[i]}));
  CHECK(moved > 1e-3);
}

TEST_CASE("adamw writes the bf16 copy of the new parameters") {
  const State s = run(1);
  bool equal = true;
  for (std::size_t i = 0; i < kSize; ++i) equal &= s.rounded[i].bits == from_float<bf16>(s.parameters[i]).bits;
  CHECK(equal);
}

TEST_CASE("adamw gives the same bits for any thread count") {
  const State one = run(1);
  for (const int threads : {2, 3}) {
    const State more = run(threads);
    CHECK(same_bits(one.parameters, more.parameters));
    CHECK(same_bits(one.exp_avg, more.exp_avg));
    CHECK(same_bits(one.exp_avg_sq, more.exp_avg_sq));
    CHECK(same_bits(one.ema, more.ema));
  }
}

TEST_CASE("adamw lets a NaN gradient be seen") {
  Cpu cpu;
  float gradient = NAN, parameter = 1, exp_avg = 0, exp_avg_sq = 0, ema = 1;
  const AdamWStep step = adamw_step(kH, 1);
  const Clipping clipping;
  adamw(cpu, &step, &clipping, 1, &gradient, &parameter, &exp_avg, &exp_avg_sq, &ema, nullptr);
  CHECK(std::isnan(parameter));
}

TEST_CASE("adamw writes nothing after a norm that is not finite") {
  Cpu cpu;
  float gradient = 1, parameter = 1, exp_avg = 2, exp_avg_sq = 3, ema = 4;
  const AdamWStep step = adamw_step(kH, 1);
  const Clipping clipping{.norm = NAN, .finite = 0};
  adamw(cpu, &step, &clipping, 1, &gradient, &parameter, &exp_avg, &exp_avg_sq, &ema, nullptr);
  CHECK(parameter == 1);
  CHECK(exp_avg == 2);
  CHECK(exp_avg_sq == 3);
  CHECK(ema == 4);
}

}  // namespace
}  // namespace gpumonth::ops
