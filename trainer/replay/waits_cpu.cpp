#include <algorithm>

#include "trainer/replay/waits.h"

namespace gpumonth::trainer {

Waits<ops::Cpu>::Waits(ops::Cpu&, int moments, Alarm::Wait wait)
    : alarm_(wait), late_s_(static_cast<std::size_t>(moments)) {}

void Waits<ops::Cpu>::load(std::span<const double> at_s) { at_s_.assign(at_s.begin(), at_s.end()); }

void Waits<ops::Cpu>::until(int moment) {
  using Seconds = std::chrono::duration<double>;
  const auto number = static_cast<std::size_t>(moment);
  const auto time = origin_ + std::chrono::duration_cast<Alarm::Clock::duration>(Seconds(at_s_[number]));
  alarm_.sleep_until(time);
  late_s_[number] = std::max(0.0, Seconds(Alarm::Clock::now() - time).count());
}

}  // namespace gpumonth::trainer
