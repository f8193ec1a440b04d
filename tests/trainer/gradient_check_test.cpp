// The whole model in fp32: the gradient of every parameter tensor against central differences along random directions.
#include <cmath>
#include <cstring>
#include <map>
#include <random>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/dit/dit_impl.h"
#include "trainer/model.h"
#include "trainer/ops/diffusion_loss.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using namespace gpumonth::ops;

namespace {

constexpr std::int64_t kBatch = 3;
constexpr double kStepOfSize = 0.005;  ///< of the difference, relative to the size of the tensor
constexpr double kTolerance = 1e-3;    ///< relative; fp32 rounding in the loss is what remains

model::ModelConfig model_of(bool video, bool learn_sigma) {
  model::ModelConfig m;
  m.input_size = 4;
  m.patch_size = 2;
  m.in_channels = 3;
  m.hidden_size = 48;
  m.depth = 2;
  m.num_heads = 2;
  m.mlp_ratio = 3;
  m.num_classes = 4;
  m.learn_sigma = learn_sigma;
  if (video) m.frames = 4, m.temporal_patch_size = 2;
  return m;
}

/// Weights as in the middle of a training: nothing is zero, so that every gradient is there.
void randomize(const model::ParameterTable& table, float* parameters) {
  for (const auto& p : table.all()) {
    const auto fan_in = p.shape.size() > 1 ? static_cast<float>(p.count / p.shape[0]) : 25.0f;
    const float scale = p.name.find("embedding_table") != std::string::npos ? 0.5f : 1 / std::sqrt(fan_in);
    const auto values = tests::random_values(p.count, static_cast<unsigned>(p.offset) + 1, scale);
    std::copy(values.begin(), values.end(), parameters + p.offset);
  }
}

/// f'(0) from four values, with an error of h^4: larger steps, and so less rounding, than two values allow.
template <class F>
double derivative(F&& f, double h) {
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

/// A random direction of length 1, half of it along the gradient: in a tensor of thousands of elements a
/// purely random one hardly changes the loss.
std::vector<double> draw_direction(const float* gradient, std::int64_t n, unsigned seed) {
  std::vector<double> direction(n);
  const auto random = tests::random_values(n, seed);
  double gradient_size = 0, random_size = 0, size = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    gradient_size += double{gradient[i]} * double{gradient[i]};
    random_size += double{random[i]} * double{random[i]};
  }
  for (std::int64_t i = 0; i < n; ++i) {
    direction[i] = double{random[i]} / std::sqrt(random_size) + double{gradient[i]} / std::sqrt(gradient_size);
    size += direction[i] * direction[i];
  }
  for (double& d : direction) d /= std::sqrt(size);
  return direction;
}

/// Holds `gradients` against differences of `loss`, which reads `parameters`, tensor by tensor.
template <class Loss>
void check_all(const model::ParameterTable& table, float* parameters, const float* gradients, Loss&& loss) {
  for (const auto& p : table.all()) {
    const float* gradient = gradients + p.offset;
    const std::vector<float> middle(parameters + p.offset, parameters + p.offset + p.count);
    for (const unsigned seed : {1u, 2u}) {
      INFO(p.name << ", direction " << seed);
      const auto direction = draw_direction(gradient, p.count, seed);
      double expected = 0;
      for (std::int64_t i = 0; i < p.count; ++i) expected += double{gradient[i]} * direction[i];
      REQUIRE(expected != 0);
      double size = 0;
      for (const float v : middle) size += double{v} * double{v};
      const double found = derivative(
          [&](double distance) {
            for (std::int64_t i = 0; i < p.count; ++i)
              parameters[p.offset + i] = static_cast<float>(double{middle[i]} + distance * direction[i]);
            return loss();
          },
          kStepOfSize * std::sqrt(size));
      CHECK(found == Approx(expected).epsilon(kTolerance));
      std::copy(middle.begin(), middle.end(), parameters + p.offset);
    }
  }
}

struct Inputs {
  std::vector<float> x, noise;
  std::vector<std::int32_t> t{40, 417, 999}, labels;
  explicit Inputs(const model::ModelConfig& m)
      : x(tests::random_values(kBatch * m.latent_size(), 5)),
        noise(tests::random_values(kBatch * m.latent_size(), 6)), labels{1, 3, m.num_classes} {}
};

/// The model with its loss. Only without learned sigma is it a function whose gradient backward() computes: the
/// reference stops the gradient of the variational term at the mean.
void check_loss(bool video) {
  const auto m = model_of(video, false);
  const model::ParameterTable table(m);
  const auto network =
      make_cpu_dit_model({.model = m, .local_batch = kBatch, .global_batch = kBatch, .dtype = "fp32"}, table);
  float* parameters = network->parameters();
  randomize(table, parameters);
  network->parameters_changed();
  const Inputs in(m);
  const Batch batch{in.x, in.labels, in.t, in.noise, 0};
  network->forward(batch, 1);
  network->backward();
  const auto gradients = network->gradients();
  check_all(table, parameters, gradients.data(), [&] {
    network->parameters_changed();
    return network->forward(batch, 1) / static_cast<double>(kBatch);
  });
}

/// The network alone under the gradient G that the loss hands it: d (G . tokens) / d parameters.
void check_model(bool video, bool learn_sigma) {
  const auto m = model_of(video, learn_sigma);
  const model::ParameterTable table(m);
  ops::Cpu cpu{1};
  StateMemory<ops::Cpu> memory(cpu, nullptr);
  Dit<ops::Cpu, float> dit(cpu, m, DitOffsets(m, table), kBatch, memory);
  std::vector<float> parameters(table.flat_size()), gradients(table.flat_size(), NAN);
  randomize(table, parameters.data());
  dit.bind(parameters.data(), nullptr);
  const Inputs in(m);
  const auto forward = [&] {
    for (int segment = 0; segment < dit.offsets().order.count(); ++segment)
      dit.pack(parameters.data() + dit.offsets().segments[segment].offset, segment);
    dit.forward(in.x.data(), in.t.data(), in.labels.data());
  };
  forward();
  const auto coefficients = ops::step_coefficients(ops::DiffusionSchedule());
  std::vector<double> losses(kBatch);
  const ops::DiffusionLossInput input{dit.tokens(),        in.x.data(),          in.noise.data(), in.t.data(),
                                      coefficients.data(), ops::latent_shape(m), kBatch,          learn_sigma};
  ops::diffusion_loss(cpu, input, 1.0f / kBatch, dit.token_gradient(), losses.data(), static_cast<double*>(nullptr),
                      static_cast<double*>(nullptr));
  const std::vector<float> weights(dit.token_gradient(), dit.token_gradient() + kBatch * m.tokens() * m.patch_out());
  std::vector<int> order;
  dit.backward(in.labels.data(), gradients.data(), [&](int segment) { order.push_back(segment); });

  std::vector<int> in_order(dit.offsets().segments.size());
  for (std::size_t i = 0; i < in_order.size(); ++i) in_order[i] = static_cast<int>(i);
  CHECK(order == in_order);
  check_all(table, parameters.data(), gradients.data(), [&] {
    forward();
    double sum = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) sum += double{weights[i]} * double{dit.tokens()[i]};
    return sum;
  });
}

/// Gradients from random parameters.
std::vector<float> gradients_of(const model::ModelConfig& m, Keep keep) {
  const model::ParameterTable table(m);
  const auto network = make_cpu_dit_model(
      {.model = m, .local_batch = kBatch, .global_batch = kBatch, .dtype = "fp32", .keep = keep}, table);
  randomize(table, network->parameters());
  network->parameters_changed();
  const Inputs in(m);
  for (int twice = 0; twice < 2; ++twice) {
    network->forward({in.x, in.labels, in.t, in.noise, 0}, 1);
    network->backward();
  }
  return network->gradients();
}

TEST_CASE("recompute changes no bit of the gradients") {
  for (const int depth : {1, 2, 3, 6}) {
    CAPTURE(depth);
    auto m = model_of(false, true);
    m.depth = depth;
    const auto kept = gradients_of(m, Keep::activations);
    for (const Keep keep : {Keep::attention, Keep::block_inputs}) {
      const auto again = gradients_of(m, keep);
      CHECK(std::memcmp(kept.data(), again.data(), kept.size() * sizeof(float)) == 0);
    }
  }
}

TEST_CASE("the gradient of the image model's loss") { check_loss(false); }
TEST_CASE("the gradient of the video model's loss") { check_loss(true); }
TEST_CASE("the gradient through the image model") { check_model(false, false); }
TEST_CASE("the gradient through the image model with learned sigma") { check_model(false, true); }
TEST_CASE("the gradient through the video model") { check_model(true, false); }
TEST_CASE("the gradient through the video model with learned sigma") { check_model(true, true); }

}  // namespace
