// A Model holds what its passes need, and gives the same numbers whatever it was made for.
#include "trainer/model.h"

#include <unistd.h>

#include <fstream>
#include <stdexcept>

#include "model/memory.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;
using gpumonth::tests::random_values, gpumonth::tests::same_bits;

namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kLarge = 16;  ///< batch, where memory is looked at

model::ModelConfig model_of(int depth, int width, int input_size, bool video = false) {
  model::ModelConfig m;
  m.input_size = input_size;
  m.hidden_size = width;
  m.depth = depth;
  m.num_heads = 4;
  m.num_classes = 4;
  if (video) m.frames = 4, m.temporal_patch_size = 2;
  return m;
}

DitSetup setup_of(const model::ModelConfig& m, const std::string& dtype, Keep keep, std::int64_t batch = kBatch) {
  return {.model = m, .local_batch = batch, .global_batch = batch, .seed = 3, .dtype = dtype, .keep = keep};
}

std::unique_ptr<Model> random_model(const model::ModelConfig& m, const std::string& dtype, Keep keep) {
  const model::ParameterTable table(m);
  auto network = make_cpu_dit_model(setup_of(m, dtype, keep), table);
  for (const auto& p : table.all()) {
    const auto values = random_values(p.count, static_cast<unsigned>(p.offset) + 1, 0.1f);
    std::copy(values.begin(), values.end(), network->parameters() + p.offset);
  }
  network->parameters_changed();
  return network;
}

Batch batch_of(const model::ModelConfig& m) {
  return {random_values(kBatch * m.latent_size(), 5), {0, 1, 3, m.num_classes}, {0, 40, 417, 999}, {}, 7};
}

TEST_CASE("prediction and losses are the same bits, whatever forward keeps") {
  for (const bool video : {false, true})
    for (const int depth : {1, 2, 5})
      for (const std::string dtype : {"fp32", "bf16"}) {
        CAPTURE(video, depth, dtype);
        const auto m = model_of(depth, 64, 8, video);
        const Batch batch = batch_of(m);
        std::vector<double> expected, losses;
        const auto whole = random_model(m, dtype, Keep::activations);
        const double sum = whole->forward(batch, 9, &expected);
        for (const Keep keep : {Keep::block_inputs, Keep::nothing}) {
          const auto lean = random_model(m, dtype, keep);
          for (int twice = 0; twice < 2; ++twice) CHECK(lean->forward(batch, 9, &losses) == sum);
          CHECK(losses == expected);
          CHECK(same_bits(lean->prediction(), whole->prediction()));
        }
      }
}

TEST_CASE("a model for forward alone has no gradients") {
  const auto network = random_model(model_of(2, 64, 8), "fp32", Keep::nothing);
  network->forward(batch_of(model_of(2, 64, 8)), 1);
  CHECK_THROWS_AS(network->backward(), std::logic_error);
  CHECK(network->gradients().empty());
}

/// Of the address space: buffers come from the kernel as they are, and so count once, with sanitizers too.
double mapped_mib() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

template <class F>
double grown_mib(F&& make) {
  make();  // what libraries set up once
  const double before = mapped_mib();
  const auto made = make();
  return mapped_mib() - before;
}

double listed_mib(const model::ModelConfig& m, const std::string& dtype, model::Use use) {
  const auto parts = model::memory_parts(m, kLarge, model::dtype_named(dtype), {.use = use});
  return static_cast<double>(model::sum(parts)) / (1 << 20);
}

TEST_CASE("what a model is not for it does not hold") {
  // oneDNN's kernels and one thread's scratch take some more, small buffers come from what the heap has left. The least
  // that could be held for nothing, a buffer of the state, is 19 MiB; gradients in flight are 19 in bf16.
  constexpr double kTolerance_mib = 8;
  const auto m = model_of(4, 256, 32);  // so narrow that dW takes no copies of its operands
  const model::ParameterTable table(m);
  for (const std::string dtype : {"fp32", "bf16"})
    for (const auto use : {model::Use::training, model::Use::backward, model::Use::forward}) {
      const Keep keep = use == model::Use::forward ? Keep::nothing : Keep::activations;
      const double grown = grown_mib([&]() -> std::shared_ptr<void> {
        const DitSetup setup = setup_of(m, dtype, keep, kLarge);
        if (use == model::Use::training) return make_cpu_dit_step(setup, table);
        return make_cpu_dit_model(setup, table);
      });
      CAPTURE(dtype, static_cast<int>(use));
      CHECK(grown == Approx(listed_mib(m, dtype, use)).margin(kTolerance_mib).epsilon(0));
    }
}

}  // namespace
