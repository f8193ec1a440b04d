#include "trainer/ops/step_graph.h"

namespace gpumonth::ops {

StepGraph<Cpu>::StepGraph(Cpu&) {}
void StepGraph<Cpu>::agree_by(std::function<bool(bool)>) {}
void StepGraph<Cpu>::run(const std::function<void()>& work) { work(); }
bool StepGraph<Cpu>::replays() const { return false; }

}  // namespace gpumonth::ops
