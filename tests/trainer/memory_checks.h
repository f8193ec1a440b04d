// model/memory.h is a table of the trainer's buffers, kept by hand: here a step is made and its buffers are counted, so
// that one which the table does not know is noticed. For any backend.
#pragma once

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include "model/memory.h"
#include "model/parameters.h"
#include "tests/catch.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/ops/buffer.h"
#include "trainer/step.h"

namespace gpumonth::tests {

using MakeStep =
    std::function<std::unique_ptr<trainer::TrainingStep>(const trainer::DitSetup&, const model::ParameterTable&)>;

/// Few blocks of many tokens: one (T, h) buffer is 1 % of what a sample takes, and vectors per sample are nothing.
/// Sizes that oneDNN packs without padding.
inline model::ModelConfig model_for_memory() {
  model::ModelConfig m;
  m.input_size = 32;
  m.hidden_size = 256;
  m.depth = 4;
  m.num_heads = 4;
  m.num_classes = 10;
  return m;
}

/// What the buffers of a step hold, with gradients of its own; `batch` samples in a micro-batch.
inline std::int64_t held_by_step(const MakeStep& make, std::int64_t batch, const std::string& dtype,
                                 const model::MemoryLayout& layout) {
  trainer::DitSetup setup;
  setup.model = model_for_memory();
  const model::ParameterTable table(setup.model);
  setup.local_batch = setup.global_batch = batch * layout.accumulate;
  setup.accumulate = layout.accumulate;
  setup.dtype = dtype;
  setup.keep = trainer::keep_for(layout.recompute);
  const int sharing = static_cast<int>(layout.sequence_ranks);
  if (sharing > 1) setup.sequence = {.ranks = sharing, .rank = sharing - 1, .alone = true};  // as one of them holds it
  const std::int64_t before = ops::live_buffer_bytes;
  const auto step = make(setup, table);
  return ops::live_buffer_bytes - before;
}

inline void check_memory(const MakeStep& make, model::Dtype dtype, const model::MemoryLayout& layout) {
  const std::string name = dtype == model::Dtype::bf16 ? "bf16" : "fp32";
  INFO(name << ", recompute " << model::name(layout.recompute) << ", " << layout.accumulate << " micro-batches, "
            << layout.sequence_ranks << " ranks share a sample");
  const model::ModelConfig m = model_for_memory();
  const std::int64_t one = held_by_step(make, 1, name, layout), two = held_by_step(make, 2, name, layout),
                     per_sample = two - one, state = one - per_sample;
  const auto listed = [&](std::int64_t batch) {
    return sum(model::memory_parts(m, batch * layout.accumulate, dtype, layout));
  };
  // x_0 and noise of all, x_t of one: the batch itself is not in the table.
  const std::int64_t tokens = m.tokens() / layout.sequence_ranks;
  const std::int64_t latents = (2 * layout.accumulate + 1) * m.latent_size() / layout.sequence_ranks * 4;
  const std::int64_t listed_per_sample = listed(2) - listed(1) + latents, listed_state = 2 * listed(1) - listed(2);

  // Not in the table: partial sums (half of a (T, h) buffer in fp32), the modulations' gradients, t, labels, losses.
  const std::int64_t smallest = tokens * m.hidden_size * model::bytes_per_element(dtype);  // (T, h)
  INFO("per sample " << per_sample << " bytes, in the table " << listed_per_sample);
  CHECK(std::abs(per_sample - listed_per_sample) < smallest / 2);
  // Nor: the norm's partial sums, positions, the schedule, one segment's weights on their way to the packed layouts.
  const std::int64_t copy = model::ParameterTable(m).flat_size() * model::bytes_per_element(dtype);
  INFO("state " << state << " bytes, in the table " << listed_state);
  CHECK(std::abs(state - listed_state) < copy / 2);
}

inline void check_memory(const MakeStep& make, bool packed) {
  const std::int64_t before = ops::live_buffer_bytes;
  for (const model::Recompute recompute : {model::Recompute::none, model::Recompute::linear, model::Recompute::full})
    for (const model::Dtype dtype : {model::Dtype::fp32, model::Dtype::bf16})
      check_memory(make, dtype, {.packed = packed, .recompute = recompute});
  for (const model::Recompute recompute : {model::Recompute::none, model::Recompute::linear, model::Recompute::full})
    check_memory(make, model::Dtype::bf16, {.packed = packed, .sequence_ranks = 2, .recompute = recompute});
  for (const model::Dtype dtype : {model::Dtype::fp32, model::Dtype::bf16})
    check_memory(make, dtype, {.packed = packed, .accumulate = 3});
  CHECK(ops::live_buffer_bytes == before);  // all of it was given back
}

}  // namespace gpumonth::tests
