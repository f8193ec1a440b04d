#include "trainer/ops/consistency.h"

#include "trainer/ops/bf16.h"
#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/token_order.h"

namespace gpumonth::ops {
namespace {

struct ConsistencyLine {
  float x, epsilon;
};

/// to = scale.x from + scale.epsilon epsilon, line by line of a channel; scales(b) gives both of sample b.
template <class Scales>
void combine(Cpu& cpu, const ReverseStepInput& in, const float* from, float* to, Scales&& scales) {
  parallel_for(cpu, in.samples * in.channels, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / in.channels;
      const OutputLine epsilon = output_line(in, b, item % in.channels);
      const ConsistencyLine scale = scales(b);
      const float* x = from + item * in.plane;
      float* line = to + item * in.plane;
#pragma omp simd
      for (std::int64_t i = 0; i < in.plane; ++i) line[i] = scale.x * x[i] + scale.epsilon * epsilon.at(i);
    }
  });
}

/// One sample, its arrays from its first value on.
struct ConsistencySample {
  ConsistencySample(const ConsistencyLossInput& input, std::int64_t b)
      : in(input), k(in.table[in.t[b]]), out_channels(in.shape.channels * (in.learn_sigma ? 2 : 1)),
        tokens(in.tokens + b * in.shape.plane() * out_channels), x_t(in.x_t + b * in.shape.channels * in.shape.plane()),
        target(in.target + b * in.shape.channels * in.shape.plane()) {}

  const ConsistencyLossInput& in;
  const ConsistencyCoefficients k;
  const std::int64_t out_channels;
  const float *tokens, *x_t, *target;

  /// f(x_t, t) - target at a pixel in token order, which lies at `offset` of its channel's plane.
  float difference(std::int64_t pixel, std::int64_t offset, std::int64_t channel) const {
    const std::int64_t at = channel * in.shape.plane() + offset;
    return k.x_scale * x_t[at] + k.epsilon_scale * tokens[pixel * out_channels + channel] - target[at];
  }

  /// f(pixel, channel, difference) for every value.
  template <class F>
  void for_each(F&& f) const {
    for (std::int64_t pixel = 0; pixel < in.shape.plane(); ++pixel) {
      const std::int64_t offset = plane_offset(in.shape, static_cast<unsigned>(pixel));
      for (std::int64_t c = 0; c < in.shape.channels; ++c) f(pixel, c, difference(pixel, offset, c));
    }
  }
};

template <class T>
void consistency_gradient(const ConsistencySample& sample, float slope, T* gradient) {
  sample.for_each([&](std::int64_t pixel, std::int64_t channel, float difference) {
    T* out = gradient + pixel * sample.out_channels + channel;
    out[0] = from_float<T>(slope * difference);
    if (sample.in.learn_sigma) out[sample.in.shape.channels] = from_float<T>(0.0f);
  });
}

}  // namespace

void teacher_step(Cpu& cpu, const ReverseStepInput& in, const std::int32_t* t, const ConsistencyCoefficients* table,
                  const float* x_t, float* x_s, std::int32_t* s) {
  for (std::int64_t b = 0; b < in.samples; ++b) s[b] = table[t[b]].s;
  combine(cpu, in, x_t, x_s, [&](std::int64_t b) {
    const ConsistencyCoefficients& k = table[t[b]];
    return ConsistencyLine{k.step_x_scale, k.step_epsilon_scale};
  });
}

void consistency_target(Cpu& cpu, const ReverseStepInput& in, const std::int32_t* s,
                        const ConsistencyCoefficients* table, float* x_s) {
  combine(cpu, in, x_s, x_s, [&](std::int64_t b) {
    const ConsistencyCoefficients& k = table[s[b]];
    return ConsistencyLine{k.x_scale, k.epsilon_scale};
  });
}

template <class T>
void consistency_loss(Cpu& cpu, const ConsistencyLossInput& in, float loss_scale, T* gradient, double* loss) {
  const double values = static_cast<double>(in.shape.channels * in.shape.plane());
  // One thread per sample: the sums do not depend on the thread count.
  parallel_for(cpu, in.batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const ConsistencySample sample(in, b);
      double squares = 0;
      sample.for_each([&](std::int64_t, std::int64_t, float difference) {
        squares += static_cast<double>(difference) * static_cast<double>(difference);
      });
      const auto distance = consistency_distance(in.metric, squares / values);
      loss[b] = static_cast<double>(sample.k.weight) * distance.value;
      if (!gradient) continue;
      const double slope = 2.0 / values * static_cast<double>(loss_scale) * static_cast<double>(sample.k.weight) *
                           static_cast<double>(sample.k.epsilon_scale) * distance.slope;
      consistency_gradient(sample, static_cast<float>(slope), gradient + b * in.shape.plane() * sample.out_channels);
    }
  });
}

template void consistency_loss(Cpu&, const ConsistencyLossInput&, float, float*, double*);
template void consistency_loss(Cpu&, const ConsistencyLossInput&, float, bf16*, double*);

}  // namespace gpumonth::ops
