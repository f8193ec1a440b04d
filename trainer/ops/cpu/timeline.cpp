#include "trainer/ops/timeline.h"

namespace gpumonth::ops {

Timeline<Cpu>::Timeline(Cpu&, int marks) : marks_(marks) {}

void Timeline<Cpu>::mark(int which) { marks_[which] = std::chrono::steady_clock::now(); }

double Timeline<Cpu>::seconds(int from, int to) const {
  return std::chrono::duration<double>(marks_[to] - marks_[from]).count();
}

}  // namespace gpumonth::ops
