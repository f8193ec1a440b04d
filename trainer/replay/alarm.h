// Sleep that ends on time, and says how late it was.
#pragma once

#include <chrono>

namespace gpumonth::trainer {

class Alarm {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Wait {
    sleep,       ///< ends some 10 us late on an idle core
    sleep_spin,  ///< the last 50 us awake: exact, and takes a core of its own
    busy,        ///< awake throughout, as a thread that computes: others have to share the core with it
  };

  /// For the calling thread, whose timer slack becomes 1 us.
  explicit Alarm(Wait wait);
  /// Returns at `time`, at once where that has passed.
  void sleep_until(Clock::time_point time) const;

 private:
  Wait wait_;
};

}  // namespace gpumonth::trainer
