#include <algorithm>

#include "trainer/dit_step.h"

namespace gpumonth::trainer {
namespace {

template <class T>
std::unique_ptr<Step> make(const StepSetup& setup, const model::ParameterTable& table) {
  const ops::Cpu cpu{setup.threads};
  auto step = std::make_unique<DitStep<ops::Cpu, T>>(cpu, setup, table);
  const TrainingState state = step->state();
  ops::Cpu device = cpu;
  initialize_parameters(device, table, setup.seed, state.parameters);
  std::copy_n(state.parameters, table.flat_size(), state.ema);
  step->state_changed();
  return step;
}

}  // namespace

std::unique_ptr<Step> make_cpu_dit_step(const StepSetup& setup, const model::ParameterTable& table) {
  return setup.dtype == "bf16" ? make<ops::bf16>(setup, table) : make<float>(setup, table);
}

}  // namespace gpumonth::trainer
