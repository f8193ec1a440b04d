// One step of consistency distillation, all passes of both networks in it, against NumPy's in double; and where a network has
// nothing to learn.
#include "base/hdf5.h"
#include "comm/host/host_transport.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/probe/probe_io.h"
#include "trainer/state/checkpoint.h"
#include "trainer/state/resumable_state.h"
#include "trainer/step.h"

namespace gpumonth::trainer {
namespace {

namespace fs = std::filesystem;
using tests::relative_distance;

const fs::path kGolden = fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden/image";

template <class T>
std::vector<T> values_of(const hdf5::File& file, const std::string& name) {
  const auto dataset = file.dataset(name);
  std::vector<T> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

struct Distilled {
  double loss_sum = 0, grad_norm = 0;
  std::vector<float> gradients;  ///< flat
};

/// One step on the golden batch that changes nothing.
Distilled distil(const std::vector<float>& teacher, const model::ModelConfig& m, const model::ParameterTable& table,
                 const Batch& batch, ops::ConsistencyMetric metric, Keep keep = Keep::activations,
                 std::int64_t accumulate = 1) {
  const auto consistency = std::make_shared<ConsistencySetup>(ConsistencySetup{teacher, 4, 20, metric});
  const auto local = static_cast<std::int64_t>(batch.t.size());
  const auto step = make_cpu_dit_step({.model = m,
                                       .local_batch = local,
                                       .global_batch = local,
                                       .dtype = "fp32",
                                       .threads = 2,
                                       .keep = keep,
                                       .accumulate = accumulate,
                                       .consistency = consistency},
                                      table);
  comm::SelfTransport alone;
  const auto reducer = alone.make_reducer(step->gradient_buffer(), step->segments(), 1 << 20, step->stream());
  step->attach(*reducer, alone.ranks());
  step->start(batch, {.learning_rate = 0}, 1);
  const StepResult done = step->finish();
  const TrainingState state = step->state()->host();
  CHECK(std::equal(teacher.begin(), teacher.end(), state.parameters));  // what the student begins with
  CHECK(relative_distance(std::vector<float>(state.ema, state.ema + table.flat_size()), teacher) < 1e-6);
  return {done.loss_sum, done.grad_norm, {step->gradient_buffer(), step->gradient_buffer() + table.flat_size()}};
}

struct Golden {
  model::ModelConfig m = model::load_model(kGolden / "model.toml");
  model::ParameterTable table{m};
  std::vector<float> weights = std::vector<float>(static_cast<std::size_t>(table.flat_size()));
  Batch batch;

  Golden() {
    read_checkpoint(kGolden / "checkpoint.h5", table, {.parameters = weights.data()});
    const ProbeBatch given = read_probe_batch(kGolden / "batch.h5", m);
    batch = {given.x_start, given.y, given.t, given.noise, 0};
  }

  std::vector<float> tensor(const std::vector<float>& flat, const std::string& name) const {
    const model::Parameter& p = table.at(name);
    return {flat.begin() + p.offset, flat.begin() + p.offset + p.count};
  }
};

TEST_CASE_METHOD(Golden, "loss and the final layer's gradient are those of NumPy in double") {
  const auto file = hdf5::File::open(kGolden / "consistency.h5");
  for (const auto& [name, metric] :
       {std::pair{"pseudo_huber", ops::ConsistencyMetric::pseudo_huber}, std::pair{"l2", ops::ConsistencyMetric::l2}}) {
    INFO(name);
    const std::string group = std::string("/") + name + "/";
    const Distilled got = distil(weights, m, table, batch, metric);
    double expected = 0;
    for (const double loss : values_of<double>(file, group + "loss")) expected += loss;
    CHECK(got.loss_sum == Approx(expected).epsilon(1e-5));
    for (const char* tensor_name : {"final_layer.linear.bias", "final_layer.linear.weight"}) {
      INFO(tensor_name);
      const double distance =
          relative_distance(tensor(got.gradients, tensor_name), values_of<float>(file, group + tensor_name));
      CHECK(distance < 1e-4);
    }
    const Distilled again = distil(weights, m, table, batch, metric, Keep::block_inputs);
    CHECK(tests::same_bits(again.gradients, got.gradients));
    const Distilled parts = distil(weights, m, table, batch, metric, Keep::activations, 3);  // of one sample each
    CHECK(parts.loss_sum == Approx(got.loss_sum).epsilon(1e-5));
    CHECK(relative_distance(parts.gradients, got.gradients) < 1e-5);
  }
}

TEST_CASE_METHOD(Golden, "a network that is consistent already has nothing to learn") {
  // Of a network that says no noise the teacher's steps scale x_t, and f(x_t, t) = x_t / signal on all of its way.
  std::vector<float> zero = weights;
  for (const char* name : {"final_layer.linear.bias", "final_layer.linear.weight"}) {
    const model::Parameter& p = table.at(name);
    std::fill_n(zero.begin() + p.offset, p.count, 0.0f);
  }
  const double trained = distil(weights, m, table, batch, ops::ConsistencyMetric::l2).loss_sum;
  const Distilled got = distil(zero, m, table, batch, ops::ConsistencyMetric::l2);
  CHECK(trained > 1e-3);
  CHECK(got.loss_sum < 1e-6 * trained);
}

}  // namespace
}  // namespace gpumonth::trainer
