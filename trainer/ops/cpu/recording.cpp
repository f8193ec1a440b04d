#include "trainer/ops/recording.h"

namespace gpumonth::ops {

Recording<Cpu>::Recording(Cpu&) {}
void Recording<Cpu>::agree_by(std::function<bool(bool)>) {}
void Recording<Cpu>::run(const std::function<void()>& work) { work(); }
bool Recording<Cpu>::replays() const { return false; }

}  // namespace gpumonth::ops
