// Static OpenMP loops: the same split for the same sizes, so that results are reproducible bit for bit.
#pragma once

#include <algorithm>
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

}  // namespace gpumonth::ops
