#include "trainer/replay/alarm.h"

#include <sys/prctl.h>
#include <time.h>

#include <cerrno>

namespace gpumonth::trainer {
namespace {

constexpr std::chrono::microseconds kSpin{50};

/// steady_clock is CLOCK_MONOTONIC.
timespec monotonic(Alarm::Clock::time_point time) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  return {ns / 1'000'000'000, ns % 1'000'000'000};
}

}  // namespace

Alarm::Alarm(Wait wait) : wait_(wait) {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // ns; by default the kernel may end a sleep 50 us late
}

void Alarm::sleep_until(Clock::time_point time) const {
  const Clock::time_point until = wait_ == Wait::sleep_spin ? time - kSpin : time;
  if (wait_ != Wait::busy && until > Clock::now()) {
    const timespec at = monotonic(until);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr) == EINTR) {
    }
  }
  if (wait_ == Wait::sleep) return;
  while (Clock::now() < time) {
  }
}

}  // namespace gpumonth::trainer
