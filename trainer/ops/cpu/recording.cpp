#include "trainer/ops/recording.h"

namespace gpumonth::ops {

template <>
struct Recording<Cpu>::Impl {};

template <>
Recording<Cpu>::Recording(Cpu&) {}
template <>
Recording<Cpu>::~Recording() = default;
template <>
Recording<Cpu>::Recording(Recording&&) noexcept = default;
template <>
void Recording<Cpu>::agree_by(std::function<bool(bool)>) {}
template <>
void Recording<Cpu>::run(const std::function<void()>& work) {
  work();
}
template <>
bool Recording<Cpu>::replays() const {
  return false;
}

}  // namespace gpumonth::ops
