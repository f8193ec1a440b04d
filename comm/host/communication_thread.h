// How a communication thread ends: with its owner, or left to itself where the other ranks do not come.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

namespace gpumonth::comm {

/// After it was asked to stop: joins the thread and returns true where it says, within a second, that it has ended. It
/// does not where an error leaves a collective open and the other ranks have not come: then it is left to itself, as the
/// process is about to end, and what it works on must not be freed.
inline bool end_communication_thread(std::thread& thread, const std::atomic<bool>& ended) {
  if (!thread.joinable()) return true;
  for (int tries = 0; tries < 100 && !ended; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  if (ended) {
    thread.join();
  } else {
    thread.detach();
  }
  return ended;
}

}  // namespace gpumonth::comm
