// model/memory.h is a table of the trainer's buffers, kept by hand: here the step is made and its buffers are counted, so
// that one which the table does not know is noticed.
#include "model/memory.h"

#include <vector>

#include "model/parameters.h"
#include "tests/catch.h"
#include "trainer/ops/buffer.h"
#include "trainer/step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

/// Few blocks of many tokens: one (B, T, h) buffer is 1 % of what a sample takes, and vectors per sample are nothing.
/// Sizes that oneDNN packs without padding.
model::ModelConfig shape() {
  model::ModelConfig m;
  m.input_size = 32;
  m.hidden_size = 256;
  m.depth = 4;
  m.num_heads = 4;
  m.num_classes = 10;
  return m;
}

/// What the buffers of a CPU rank's step hold; gradients are the communicator's.
std::int64_t held(const model::ModelConfig& m, std::int64_t batch, const std::string& dtype, bool recompute) {
  const model::ParameterTable table(m);
  std::vector<float> gradients(static_cast<std::size_t>(table.flat_size()));
  StepSetup setup;
  setup.model = m;
  setup.local_batch = setup.global_batch = batch;
  setup.dtype = dtype;
  setup.gradients = gradients.data();
  setup.recompute = recompute;
  const std::int64_t before = ops::live_buffer_bytes;
  const auto step = make_cpu_dit_step(setup, table);
  return ops::live_buffer_bytes - before;
}

void check(const std::string& name, model::Dtype dtype, bool recompute) {
  INFO(name << (recompute ? ", recompute" : ""));
  const model::ModelConfig m = shape();
  const std::int64_t one = held(m, 1, name, recompute), two = held(m, 2, name, recompute);
  const std::int64_t per_sample = two - one, state = one - per_sample;
  const auto listed = [&](std::int64_t batch) {
    auto parts = model::memory_parts(m, batch, dtype, {.recompute = recompute});
    return sum(parts) - sum(parts, model::MemoryKind::gradients);
  };
  const std::int64_t latents = 3 * m.latent_size() * 4;  // x_0, noise and x_t: the batch itself is not in the table
  const std::int64_t listed_per_sample = listed(2) - listed(1) + latents, listed_state = 2 * listed(1) - listed(2);

  // Not in the table: partial sums (half of a (T, h) buffer in bf16), the modulations' gradients, t, labels, losses.
  const std::int64_t smallest = m.tokens() * m.hidden_size * model::bytes_per_element(dtype);  // (T, h)
  INFO("per sample " << per_sample << " bytes, in the table " << listed_per_sample);
  CHECK(std::abs(per_sample - listed_per_sample) < smallest / 2);
  // Nor: the norm's partial sums, positions, the schedule, one event's weights on their way to the packed layouts.
  const std::int64_t copy = model::ParameterTable(m).flat_size() * model::bytes_per_element(dtype);
  INFO("state " << state << " bytes, in the table " << listed_state);
  CHECK(std::abs(state - listed_state) < copy / 2);
}

}  // namespace

TEST_CASE("the table of memory is what a step's buffers hold") {
  for (const bool recompute : {false, true}) {
    check("fp32", model::Dtype::fp32, recompute);
    check("bf16", model::Dtype::bf16, recompute);
  }
}

TEST_CASE("what a step held is given back") {
  const std::int64_t before = ops::live_buffer_bytes;
  CHECK(held(shape(), 1, "fp32", false) > 0);
  CHECK(ops::live_buffer_bytes == before);
}
