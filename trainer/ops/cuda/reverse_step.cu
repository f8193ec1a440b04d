#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/reverse_step.h"

namespace gpumonth::ops {
namespace {

struct Reverse {
  ReverseStepInput in;
  ReverseStep step;
  float* x;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t item = i / in.plane, at = i % in.plane, b = item / in.channels, c = item % in.channels;
    float value = reverse_mean(step, x[i], output_line(in, b, c).at(at));
    if (step.adds_noise) value += reverse_deviation(step, variance_line(in, b, c).at(at)) * in.noise[i];
    x[i] = value;
    if (in.guided) x[in.samples * in.channels * in.plane + i] = value;
  }
};

}  // namespace

void reverse_step(Cuda& cuda, const ReverseStepInput& in, const ReverseStep& step, float* x) {
  elementwise<1>(cuda, in.samples * in.channels * in.plane, true, Reverse{in, step, x});
}

}  // namespace gpumonth::ops
