#include "trainer/dit/dit_step.h"
#include "trainer/dit/init.h"

namespace gpumonth::trainer {
namespace {

template <class T>
class CpuDitStep final : public DitStep<ops::Cpu, T> {
 public:
  CpuDitStep(const StepSetup& setup, const model::ParameterTable& table)
      : DitStep<ops::Cpu, T>({setup.threads}, setup, table) {
    if (this->owns_state()) {
      initialize_parameters(this->device_, table, setup.seed, this->state_.parameters());
      this->state_.begin_ema();
    }
    this->state_changed();
  }
  void* stream() override { return nullptr; }
};

}  // namespace

std::unique_ptr<Step> make_cpu_dit_step(const StepSetup& setup, const model::ParameterTable& table) {
  if (setup.dtype == "bf16") return std::make_unique<CpuDitStep<ops::bf16>>(setup, table);
  return std::make_unique<CpuDitStep<float>>(setup, table);
}

}  // namespace gpumonth::trainer
