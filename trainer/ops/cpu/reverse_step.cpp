#include "trainer/ops/reverse_step.h"

#include <algorithm>

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {

void reverse_step(Cpu& cpu, const ReverseStepInput& in, const ReverseStep& step, float* x) {
  const std::int64_t plane = in.plane;
  parallel_for(cpu, in.samples * in.channels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / in.channels, c = item % in.channels;
      const OutputLine epsilon = output_line(in, b, c), v = variance_line(in, b, c);
      float* line = x + item * plane;
#pragma omp simd
      for (std::int64_t i = 0; i < plane; ++i) line[i] = reverse_mean(step, line[i], epsilon.at(i));
      if (step.adds_noise) {
        const float* noise = in.noise + item * plane;
#pragma omp simd
        for (std::int64_t i = 0; i < plane; ++i) line[i] += reverse_deviation(step, v.at(i)) * noise[i];
      }
      if (in.guided) std::copy_n(line, plane, line + in.samples * in.channels * plane);
    }
  });
}

}  // namespace gpumonth::ops
