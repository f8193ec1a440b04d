// Sleep that ends on time, and says how late it was.
#pragma once

#include <chrono>

namespace gpumonth::trainer {

class Alarm {
 public:
  using Clock = std::chrono::steady_clock;

  /// For the calling thread, whose timer slack becomes 1 us. `spins`: the last 50 us are waited for awake, which takes a
  /// core of its own and is exact; without it a sleep ends some 10 us late on an idle core.
  explicit Alarm(bool spins);
  /// Returns at `time`, at once where that has passed.
  void sleep_until(Clock::time_point time) const;

 private:
  bool spins_;
};

}  // namespace gpumonth::trainer
