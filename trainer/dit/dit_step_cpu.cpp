#include "trainer/dit/dit_step.h"

namespace gpumonth::trainer {
namespace {

template <class T>
class CpuDitStep final : public DitStep<ops::Cpu, T> {
 public:
  CpuDitStep(const DitSetup& setup, const model::ParameterTable& table)
      : DitStep<ops::Cpu, T>({setup.threads}, setup, table) {}
  void* stream() override { return nullptr; }
};

}  // namespace

std::unique_ptr<Model> make_cpu_dit_model(const DitSetup& setup, const model::ParameterTable& table) {
  const ops::Cpu device{setup.threads};
  if (setup.dtype == "bf16") return std::make_unique<DitModel<ops::Cpu, ops::bf16>>(device, setup, table);
  return std::make_unique<DitModel<ops::Cpu, float>>(device, setup, table);
}

std::unique_ptr<TrainingStep> make_cpu_dit_step(const DitSetup& given, const model::ParameterTable& table) {
  const DitSetup setup = with_exchange(given, nullptr);
  if (setup.dtype == "bf16") return std::make_unique<CpuDitStep<ops::bf16>>(setup, table);
  return std::make_unique<CpuDitStep<float>>(setup, table);
}

}  // namespace gpumonth::trainer
