#include "trainer/ops/step_timer.h"

namespace gpumonth::ops {

StepTimer<Cpu>::StepTimer(Cpu&, int marks) : marks_(marks) {}

void StepTimer<Cpu>::mark(int which) { marks_[which] = std::chrono::steady_clock::now(); }

double StepTimer<Cpu>::seconds(int from, int to) const {
  return std::chrono::duration<double>(marks_[to] - marks_[from]).count();
}

}  // namespace gpumonth::ops
