#include <algorithm>

#include "trainer/ops/consistency.h"
#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/token_order.h"

namespace gpumonth::ops {
namespace {

constexpr unsigned kMostParts = 1024;  // of a sample: their partial sums are added by one warp

struct TeacherStep {
  ReverseStepInput in;
  const std::int32_t* t;
  const ConsistencyCoefficients* table;
  const float* x_t;
  float* x_s;
  std::int32_t* s;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t item = i / in.plane, at = i % in.plane, b = item / in.channels, c = item % in.channels;
    const ConsistencyCoefficients& k = table[t[b]];
    x_s[i] = k.step_x_scale * x_t[i] + k.step_epsilon_scale * output_line(in, b, c).at(at);
    if (c == 0 && at == 0) s[b] = k.s;
  }
};

struct Target {
  ReverseStepInput in;
  const std::int32_t* s;
  const ConsistencyCoefficients* table;
  float* x_s;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t item = i / in.plane, at = i % in.plane, b = item / in.channels, c = item % in.channels;
    const ConsistencyCoefficients& k = table[s[b]];
    x_s[i] = k.x_scale * x_s[i] + k.epsilon_scale * output_line(in, b, c).at(at);
  }
};

/// f(x_t, t) - target at (pixel in token order, channel) of sample b; `output` is where the token's value is.
struct Difference {
  ConsistencyLossInput in;
  std::int64_t plane, out_channels;

  __device__ float at(const ConsistencyCoefficients& k, std::int64_t b, unsigned offset, std::int64_t channel,
                      std::int64_t output) const {
    const std::int64_t latent = (b * in.shape.channels + channel) * plane + offset;
    return k.x_scale * in.x_t[latent] + k.epsilon_scale * in.tokens[output] - in.target[latent];
  }
};

/// Block = (sample, every `blocks`-th group of pixels); partial (B, blocks): sums of squares.
__global__ void __launch_bounds__(kBlockThreads)
    squares_kernel(const __grid_constant__ Difference d, unsigned blocks, double* partial) {
  __shared__ double shared[kBlockThreads / 32];
  const std::int64_t b = blockIdx.x / blocks;
  const ConsistencyCoefficients k = d.in.table[d.in.t[b]];
  double squares = 0;
  for (unsigned pixel = blockIdx.x % blocks * kBlockThreads + threadIdx.x; pixel < d.plane;
       pixel += blocks * kBlockThreads) {
    const unsigned offset = plane_offset(d.in.shape, pixel);
    const std::int64_t output = (b * d.plane + pixel) * d.out_channels;
    for (std::int64_t c = 0; c < d.in.shape.channels; ++c) {
      const float difference = d.at(k, b, offset, c, output + c);
      squares += static_cast<double>(difference) * static_cast<double>(difference);
    }
  }
  squares = block_sum(squares, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = squares;
}

/// One warp per sample: its loss, and in place of its first partial sum the gradient per unit of difference.
__global__ void __launch_bounds__(32) distance_kernel(const __grid_constant__ ConsistencyLossInput in, unsigned blocks,
                                                      double values, double loss_scale, double* partial, double* loss) {
  double squares = 0;
  for (unsigned i = threadIdx.x; i < blocks; i += 32) squares += partial[blockIdx.x * blocks + i];
  squares = warp_sum(squares);
  if (threadIdx.x > 0) return;
  const ConsistencyCoefficients k = in.table[in.t[blockIdx.x]];
  const auto distance = consistency_distance(in.metric, squares / values);
  loss[blockIdx.x] = static_cast<double>(k.weight) * distance.value;
  partial[blockIdx.x * blocks] =
      2.0 / values * loss_scale * static_cast<double>(k.weight) * static_cast<double>(k.epsilon_scale) * distance.slope;
}

/// One pixel a thread; `blocks` of them make a sample, whose factor is slopes[b x parts].
template <class T>
__global__ void __launch_bounds__(kBlockThreads) gradient_kernel(const __grid_constant__ Difference d, unsigned blocks,
                                                                 unsigned parts, const double* slopes, T* gradient) {
  const std::int64_t b = blockIdx.x / blocks;
  const unsigned pixel = blockIdx.x % blocks * kBlockThreads + threadIdx.x;
  if (pixel >= d.plane) return;
  const ConsistencyCoefficients k = d.in.table[d.in.t[b]];
  const float slope = static_cast<float>(slopes[b * parts]);
  const unsigned offset = plane_offset(d.in.shape, pixel);
  const std::int64_t output = (b * d.plane + pixel) * d.out_channels;
  for (std::int64_t c = 0; c < d.in.shape.channels; ++c) {
    gradient[output + c] = from_float<T>(slope * d.at(k, b, offset, c, output + c));
    if (d.in.learn_sigma) gradient[output + d.in.shape.channels + c] = from_float<T>(0.0f);
  }
}

}  // namespace

void teacher_step(Cuda& cuda, const ReverseStepInput& in, const std::int32_t* t, const ConsistencyCoefficients* table,
                  const float* x_t, float* x_s, std::int32_t* s) {
  elementwise<1>(cuda, in.samples * in.channels * in.plane, true, TeacherStep{in, t, table, x_t, x_s, s});
}

void consistency_target(Cuda& cuda, const ReverseStepInput& in, const std::int32_t* s,
                        const ConsistencyCoefficients* table, float* x_s) {
  elementwise<1>(cuda, in.samples * in.channels * in.plane, true, Target{in, s, table, x_s});
}

template <class T>
void consistency_loss(Cuda& cuda, const ConsistencyLossInput& in, float loss_scale, T* gradient, double* loss) {
  if (in.batch <= 0) return;
  const Difference d{in, in.shape.plane(), in.shape.channels * (in.learn_sigma ? 2 : 1)};
  const auto room = static_cast<std::int64_t>(cuda.context->workspace_bytes / sizeof(double)) / in.batch;
  if (room < 1)
    throw CudaError("consistency_loss: the workspace holds no partial sum per sample: a smaller batch fits");
  const unsigned blocks = blocks_for(d.plane, kBlockThreads);
  const unsigned parts = static_cast<unsigned>(std::min({std::int64_t{blocks}, std::int64_t{kMostParts}, room}));
  const auto batch = static_cast<unsigned>(in.batch);
  auto* partial = static_cast<double*>(cuda.context->workspace);
  squares_kernel<<<batch * parts, kBlockThreads, 0, stream_of(cuda)>>>(d, parts, partial);
  GPUMONTH_CUDA_LAUNCHED();
  distance_kernel<<<batch, 32, 0, stream_of(cuda)>>>(in, parts, static_cast<double>(in.shape.channels * d.plane),
                                                     static_cast<double>(loss_scale), partial, loss);
  GPUMONTH_CUDA_LAUNCHED();
  if (!gradient) return;
  gradient_kernel<T><<<batch * blocks, kBlockThreads, 0, stream_of(cuda)>>>(d, blocks, parts, partial, gradient);
  GPUMONTH_CUDA_LAUNCHED();
}

template void consistency_loss(Cuda&, const ConsistencyLossInput&, float, float*, double*);
template void consistency_loss(Cuda&, const ConsistencyLossInput&, float, bf16*, double*);

}  // namespace gpumonth::ops
