// OpenMP loops whose results are reproducible bit for bit: static ones, the same split for the same sizes, and ones over
// blocks that do not know of each other.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// f(begin, end) on contiguous parts of [0, n), one part per thread; parts start at multiples of `grain`.
template <class F>
void parallel_for(const Cpu& cpu, std::int64_t n, std::int64_t grain, F&& f) {
  const std::int64_t blocks = (n + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::int64_t>(cpu.threads, blocks));
  if (threads <= 1) {
    if (n > 0) f(std::int64_t{0}, n);
    return;
  }
#ifndef __SANITIZE_THREAD__  // it does not see how libgomp's threads wait for each other: one after the other there
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
  for (int t = 0; t < threads; ++t) {
    const std::int64_t begin = blocks * t / threads * grain;
    const std::int64_t end = std::min(n, blocks * (t + 1) / threads * grain);
    if (begin < end) f(begin, end);
  }
}

/// f(thread, block, next) for blocks 0 to n - 1, each by the thread that is free; `next` is the block that the thread takes
/// afterwards, n if none. For work whose bits do not depend on who does it: two cores of a virtual machine may differ in
/// speed by a third for seconds, and halves would be as slow as the slower one.
template <class F>
void parallel_blocks(const Cpu& cpu, std::int64_t n, F&& f) {
  const int threads = static_cast<int>(std::min<std::int64_t>(cpu.threads, n));
  std::atomic<std::int64_t> taken{0};
  const auto work = [&](int thread) {
    for (std::int64_t block = taken++, next; block < n; block = next) {
      next = std::min<std::int64_t>(taken++, n);
      f(thread, block, next);
    }
  };
  if (threads <= 1) return work(0);
#ifndef __SANITIZE_THREAD__  // as above
#pragma omp parallel for num_threads(threads) schedule(static, 1)
#endif
  for (int t = 0; t < threads; ++t) work(t);
}

}  // namespace gpumonth::ops
