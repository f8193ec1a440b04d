// Waiting without burning a core: the communication thread has no core of its own, so whatever it spins away
// is taken from the compute threads of the same rank.
#pragma once

#include <sched.h>
#include <time.h>

#include <algorithm>

namespace gpumonth::comm {

/// Call pause() after every look that found nothing, reset() after one that found something. The first few
/// looks follow at once (a message on its way), then the thread sleeps 50 us, and up to 1 ms after a long
/// silence; a look costs about 5 us.
class PoliteWait {
 public:
  void reset() { looks_ = 0; }
  void pause() {
    ++looks_;
    if (looks_ <= 4) {
      sched_yield();
      return;
    }
    const long us = std::min(50L + (looks_ - 4), 1000L);
    const timespec time{0, us * 1000};
    nanosleep(&time, nullptr);
  }

 private:
  long looks_ = 0;
};

}  // namespace gpumonth::comm
