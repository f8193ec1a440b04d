// sharding = "optimizer" over MPI messages: the same bits as without, and the state that checkpoints get is whole.
#include <cstring>
#include <vector>

#include "comm/host/host_transport.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"
#include "tests/trainer/ops/values.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/state/resumable_state.h"
#include "trainer/step.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

model::ModelConfig small_model() {
  model::ModelConfig m;
  m.input_size = 8;
  m.hidden_size = 48;
  m.depth = 3;
  m.num_heads = 4;
  m.num_classes = 7;
  return m;
}

struct State {
  std::vector<float> parameters, ema, exp_avg, exp_avg_sq;
  std::vector<double> small_squares = {};  // of the steps
};

State copy_of(ResumableState& state, const model::ParameterTable& table) {
  const TrainingState s = state.host();
  const auto copy = [&](const float* values) {  // padding belongs to nobody
    std::vector<float> all;
    for (const auto& p : table.all()) all.insert(all.end(), values + p.offset, values + p.offset + p.count);
    return all;
  };
  return {copy(s.parameters), copy(s.ema), copy(s.exp_avg), copy(s.exp_avg_sq)};
}

Batch batch_of(const model::ModelConfig& m, std::int64_t size, int rank, int step) {
  Batch b;
  b.latents = tests::random_values(size * m.latent_size(), static_cast<unsigned>(100 * step + rank));
  for (std::int64_t i = 0; i < size; ++i) {
    b.labels.push_back(static_cast<std::int32_t>((i + rank + step) % m.num_classes));
    b.t.push_back(static_cast<std::int32_t>((131 * i + 37 * step + 11 * rank) % 1000));
  }
  b.first_sample = size * rank;
  return b;
}

/// Six steps; after the third the state goes out and comes back in as over a checkpoint.
State train(comm::Transport& transport, bool shard, const std::string& dtype, std::int64_t bucket_bytes = 40000,
            std::int64_t accumulate = 1) {
  comm::Communicator& ranks = transport.ranks();
  const model::ModelConfig m = small_model();
  const model::ParameterTable table(m);
  constexpr std::int64_t kLocal = 2;
  const DitSetup setup{.model = m,
                       .local_batch = kLocal,
                       .global_batch = kLocal * ranks.size(),
                       .seed = 3,
                       .dtype = dtype,
                       .gradients = transport.allocate(table.flat_size()),
                       .transport = &transport,
                       .accumulate = accumulate,
                       .noise_scale = true};
  const auto step = make_cpu_dit_step(setup, table);
  ResumableState& state = *step->state();
  REQUIRE_FALSE(state.shared());  // over messages every rank has a state of its own
  const auto reducer = transport.make_reducer(step->gradient_buffer(), step->segments(), bucket_bytes, step->stream(),
                                              {.shard_optimizer = shard});
  step->attach(*reducer, ranks, shard);
  std::vector<double> small_squares;
  for (int s = 1; s <= 6; ++s) {
    const OptimizerSettings settings{.learning_rate = 1e-2, .weight_decay = 0.1, .clip_norm = 0.5, .ema_decay = 0.9};
    step->start(batch_of(m, kLocal, ranks.rank(), s), settings, s);
    const StepResult r = step->finish();
    REQUIRE(r.grad_norm > 0);
    REQUIRE(r.small_squares > 0);
    small_squares.push_back(r.small_squares);
    if (s != 3) continue;
    const State before = copy_of(state, table);
    state.changed();
    const State after = copy_of(state, table);
    REQUIRE(before.parameters == after.parameters);
    REQUIRE(before.exp_avg_sq == after.exp_avg_sq);
  }
  State last = copy_of(state, table);
  last.small_squares = small_squares;
  return last;
}

}  // namespace

TEST_CASE("so does one of micro-batches, and each rank knows the norms of its own gradients") {
  comm::MpiTransport ranks(60, false);
  const State whole = train(ranks, false, "fp32", 40000, 2), sharded = train(ranks, true, "fp32", 40000, 2);
  REQUIRE(whole.parameters == sharded.parameters);
  REQUIRE(whole.small_squares == sharded.small_squares);
}

TEST_CASE("so does one with so small buckets that the last rank owns everything") {
  comm::MpiTransport ranks(60, false);
  const State whole = train(ranks, false, "fp32", 1024), sharded = train(ranks, true, "fp32", 16);
  REQUIRE(whole.parameters == sharded.parameters);
  REQUIRE(whole.exp_avg == sharded.exp_avg);
}

TEST_CASE("a sharded optimizer trains to the same bits") {
  comm::MpiTransport ranks(60, false);
  for (const std::string dtype : {"fp32", "bf16"}) {
    const State whole = train(ranks, false, dtype), sharded = train(ranks, true, dtype);
    REQUIRE(whole.parameters == sharded.parameters);
    REQUIRE(whole.ema == sharded.ema);
    REQUIRE(whole.exp_avg == sharded.exp_avg);
    REQUIRE(whole.exp_avg_sq == sharded.exp_avg_sq);
    double moved = 0;
    for (const float m : sharded.exp_avg) moved += m != 0;
    REQUIRE(moved > 0.9 * static_cast<double>(sharded.exp_avg.size() / 2));
  }
}
