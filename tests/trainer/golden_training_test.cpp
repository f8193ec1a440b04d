// Ten optimizer steps against PyTorch: losses, gradient norms, and the weights and their moving average at
// the end.
#include "base/hdf5.h"
#include "comm/host/host_transport.h"
#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "tests/trainer/runs.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/state/resumable_state.h"
#include "trainer/step.h"

using namespace gpumonth;
using namespace gpumonth::tests;
namespace fs = std::filesystem;

namespace {

const fs::path kCase = fs::path(GPUMONTH_SOURCE_DIR) / "tests/golden/image";

template <class T>
std::vector<T> read(const hdf5::File& file, const std::string& name) {
  const auto dataset = file.dataset(name);
  std::vector<T> values(static_cast<std::size_t>(hdf5::element_count(dataset.shape())));
  dataset.read(values.data());
  return values;
}

/// Row `step` of (steps, ...).
template <class T>
std::vector<T> row(const std::vector<T>& values, std::size_t step, std::size_t steps) {
  const std::size_t size = values.size() / steps;
  return {values.begin() + static_cast<std::ptrdiff_t>(step * size),
          values.begin() + static_cast<std::ptrdiff_t>((step + 1) * size)};
}

trainer::OptimizerSettings settings(const hdf5::File& file) {
  const auto number = [&](const char* name) { return file.attribute<double>("/", name); };
  return {number("learning_rate"), number("beta1"),     number("beta2"),    number("epsilon"),
          number("weight_decay"),  number("clip_norm"), number("ema_decay")};
}

struct Trained {
  std::vector<double> losses, norms;
  Tensors model, ema;
};

Tensors tensors(const model::ParameterTable& table, const float* flat) {
  Tensors result;
  for (const auto& p : table.all()) result[p.name] = {flat + p.offset, flat + p.offset + p.count};
  return result;
}

Trained train_as_given(const hdf5::File& file, const std::string& dtype) {
  const auto model = model::load_model(kCase / "model.toml");
  const model::ParameterTable table(model);
  const auto shape = file.dataset("/x_start").shape();
  const auto steps = static_cast<std::size_t>(shape[0]);
  const auto step = trainer::make_cpu_dit_step({.model = model,
                                                .local_batch = static_cast<std::int64_t>(shape[1]),
                                                .global_batch = static_cast<std::int64_t>(shape[1]),
                                                .dtype = dtype,
                                                .threads = 2},
                                               table);
  const trainer::TrainingState state = step->state()->host();
  trainer::read_checkpoint(kCase / "checkpoint.h5", table, {.parameters = state.parameters});
  std::copy_n(state.parameters, table.flat_size(), state.ema);
  step->state()->changed();
  comm::SelfTransport alone;
  const auto reducer = alone.make_reducer(step->gradient_buffer(), step->segments(), 1 << 20, step->stream());
  step->attach(*reducer, alone.ranks());

  const auto x = read<float>(file, "/x_start"), noise = read<float>(file, "/noise");
  const auto t = read<std::int32_t>(file, "/t"), y = read<std::int32_t>(file, "/y");
  Trained result;
  for (std::size_t s = 0; s < steps; ++s) {
    const trainer::Batch batch{row(x, s, steps), row(y, s, steps), row(t, s, steps), row(noise, s, steps), 0};
    step->start(batch, settings(file), static_cast<std::int64_t>(s) + 1);
    const trainer::StepResult done = step->finish();
    result.losses.push_back(done.loss_sum / static_cast<double>(shape[1]));
    result.norms.push_back(done.grad_norm);
  }
  result.model = tensors(table, state.parameters);
  result.ema = tensors(table, state.ema);
  return result;
}

void check(const std::string& dtype, double loss_tolerance, double norm_tolerance, double weight_tolerance) {
  const auto file = hdf5::File::open(kCase / "train.h5");
  Trained trained = train_as_given(file, dtype);
  CHECK(relative_distance(trained.losses, read<double>(file, "/loss")) < loss_tolerance);
  CHECK(relative_distance(trained.norms, read<double>(file, "/grad_norm")) < norm_tolerance);
  for (auto* pair : {&trained.model, &trained.ema}) {
    Tensors expected = read_tensors(kCase / "train.h5", pair == &trained.model ? "/model" : "/ema");
    REQUIRE(expected.size() == pair->size());
    leave_out_key_biases(expected);
    leave_out_key_biases(*pair);
    for (const auto& [name, values] : expected) {
      INFO((pair == &trained.model ? "/model/" : "/ema/") << name);
      CHECK(relative_distance(pair->at(name), values) < weight_tolerance);
    }
  }
}

TEST_CASE("ten steps in fp32 end where PyTorch ends") { check("fp32", 1e-6, 1e-5, 1e-5); }

TEST_CASE("ten steps in bf16 stay near PyTorch's") { check("bf16", 2e-3, 2e-2, 1e-2); }

}  // namespace
