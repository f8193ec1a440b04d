#include "trainer/ops/timeline.h"

#include <chrono>
#include <vector>

namespace gpumonth::ops {

template <>
struct Timeline<Cpu>::Impl {
  std::vector<std::chrono::steady_clock::time_point> marks;
};

template <>
Timeline<Cpu>::Timeline(Cpu&, int marks) : impl_(new Impl{std::vector<std::chrono::steady_clock::time_point>(marks)}) {}
template <>
Timeline<Cpu>::~Timeline() = default;
template <>
Timeline<Cpu>::Timeline(Timeline&&) noexcept = default;
template <>
void Timeline<Cpu>::mark(int which) {
  impl_->marks[which] = std::chrono::steady_clock::now();
}
template <>
double Timeline<Cpu>::seconds(int from, int to) const {
  return std::chrono::duration<double>(impl_->marks[to] - impl_->marks[from]).count();
}

}  // namespace gpumonth::ops
