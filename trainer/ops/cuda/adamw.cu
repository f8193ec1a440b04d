#include "trainer/ops/adamw.h"
#include "trainer/ops/cuda/vectorized.h"

namespace gpumonth::ops {
namespace {

template <bool kRounded>
struct Update {
  const AdamWStep* step;
  const Clipping* clipping;
  const float* gradients;
  float *parameters, *exp_avg, *exp_avg_sq, *ema;
  bf16* compute_weights;

  template <int N>
  __device__ void operator()(std::int64_t i) const {
    // All loads are under way before the first branch.
    float g[N], p[N], m[N], v[N], e[N];
    read(gradients + i, g);
    read(parameters + i, p);
    read(exp_avg + i, m);
    read(exp_avg_sq + i, v);
    read(ema + i, e);
    const AdamWStep s = *step;
    const float scale = clipping->scale;
    if (!clipping->finite) return;
#pragma unroll
    for (int j = 0; j < N; ++j) adamw_element(s, g[j] * scale, p + j, m + j, v + j, e + j);
    write(parameters + i, p);
    write(exp_avg + i, m);
    write(exp_avg_sq + i, v);
    write(ema + i, e);
    if constexpr (kRounded) write(compute_weights + i, p);
  }
};

}  // namespace

void adamw(Cuda& cuda, const AdamWStep* step, const Clipping* clipping, std::int64_t n, const float* gradients,
           float* parameters, float* exp_avg, float* exp_avg_sq, float* ema, bf16* compute_weights) {
  const bool vectors = aligned<4>(gradients, parameters, exp_avg, exp_avg_sq, ema, compute_weights);
  if (compute_weights) {
    elementwise<4>(cuda, n, vectors,
                   Update<true>{step, clipping, gradients, parameters, exp_avg, exp_avg_sq, ema, compute_weights});
  } else {
    elementwise<4>(cuda, n, vectors,
                   Update<false>{step, clipping, gradients, parameters, exp_avg, exp_avg_sq, ema, nullptr});
  }
}

}  // namespace gpumonth::ops
