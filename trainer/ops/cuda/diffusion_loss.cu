#include <algorithm>
#include <numbers>

#include "trainer/ops/cuda/vectorized.h"
#include "trainer/ops/diffusion_loss.h"
#include "trainer/ops/math.h"
#include "trainer/ops/token_order.h"

namespace gpumonth::ops {
namespace {

constexpr unsigned kMostBlocks = 1024;  // of a sample: their partial sums are added by one warp

struct Sums {
  double mse, vb;  ///< squares; nats
};

struct Scales {
  float mse, vb;  ///< of the gradients: loss_scale / values, and that / ln 2
};

/// N channels of one pixel, from `channel` on.
template <int N, class T>
__device__ void pixel_loss(const DiffusionLossInput& in, const ops::StepCoefficients& k, bool first_step,
                           const Scales& scale, std::int64_t plane, std::int64_t output, std::int64_t latent,
                           T* gradient, Sums& sums) {
  float epsilon[N], noise[N], d[N];
  read(in.tokens + output, epsilon);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    noise[j] = in.noise[latent + j * plane];
    const float error = epsilon[j] - noise[j];
    d[j] = 2.0f * scale.mse * error;
    sums.mse += static_cast<double>(error * error);
  }
  if (gradient) write(gradient + output, d);
  if (!in.learn_sigma) return;
  float variance[N];
  read(in.tokens + output + in.shape.channels, variance);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    if (first_step) {
      const double centered = double{k.mean_error} * (double{epsilon[j]} - double{noise[j]});
      const auto nll = decoder_nll_element(double{in.x_0[latent + j * plane]}, centered, double{variance[j]},
                                           double{k.min_log_variance}, double{k.log_variance_range});
      d[j] = static_cast<float>(scale.vb * nll.slope);
      sums.vb += nll.value;
    } else {
      const auto kl = kl_element(epsilon[j] - noise[j], variance[j], k.log_variance_range, k.kl_weight);
      d[j] = scale.vb * kl.slope;
      sums.vb += static_cast<double>(kl.value);
    }
  }
  if (gradient) write(gradient + output + in.shape.channels, d);
}

/// Block = (sample, every `blocks`-th group of pixels); partial (B, blocks).
template <int N, class T>
__global__ void __launch_bounds__(kBlockThreads)
    loss_kernel(const __grid_constant__ DiffusionLossInput in, Scales scale, unsigned plane, unsigned blocks,
                T* gradient, Sums* partial) {
  __shared__ double shared[2][kBlockThreads / 32];
  const std::int64_t b = blockIdx.x / blocks;
  const std::int64_t out_channels = in.shape.channels * (in.learn_sigma ? 2 : 1);
  const std::int32_t t = in.t[b];
  const ops::StepCoefficients k = in.table[t];
  Sums sums = {0, 0};
  for (unsigned pixel = blockIdx.x % blocks * kBlockThreads + threadIdx.x; pixel < plane;
       pixel += blocks * kBlockThreads) {
    const std::int64_t output = (b * plane + pixel) * out_channels;
    const std::int64_t latent = b * in.shape.channels * plane + plane_offset(in.shape, pixel);
    for (std::int64_t channel = 0; channel < in.shape.channels; channel += N)
      pixel_loss<N>(in, k, t == 0, scale, plane, output + channel, latent + channel * plane, gradient, sums);
  }
  sums.mse = block_sum(sums.mse, shared[0]);
  sums.vb = block_sum(sums.vb, shared[1]);
  if (threadIdx.x == 0) partial[blockIdx.x] = sums;
}

/// One warp per sample.
__global__ void __launch_bounds__(32) sample_sums_kernel(const Sums* __restrict__ partial, unsigned blocks,
                                                         double values, double* loss, double* mse, double* vb) {
  Sums sums = {0, 0};
  for (unsigned i = threadIdx.x; i < blocks; i += 32) {
    sums.mse += partial[blockIdx.x * blocks + i].mse;
    sums.vb += partial[blockIdx.x * blocks + i].vb;
  }
  const double sample_mse = warp_sum(sums.mse) / values;
  const double sample_vb = warp_sum(sums.vb) / values / std::numbers::ln2;
  if (threadIdx.x > 0) return;
  loss[blockIdx.x] = sample_mse + sample_vb;
  if (mse) mse[blockIdx.x] = sample_mse;
  if (vb) vb[blockIdx.x] = sample_vb;
}

}  // namespace

template <class T>
void diffusion_loss(Cuda& cuda, const DiffusionLossInput& in, float loss_scale, T* gradient, double* loss, double* mse,
                    double* vb) {
  constexpr int N = 4;
  if (in.batch <= 0) return;
  const double values = static_cast<double>(in.shape.channels * in.shape.plane());
  const Scales scale = {static_cast<float>(loss_scale / values),
                        static_cast<float>(loss_scale / values / std::numbers::ln2)};
  const auto room = static_cast<std::int64_t>(cuda.context->workspace_bytes / sizeof(Sums)) / in.batch;
  if (room < 1) throw CudaError("diffusion_loss: the workspace holds no partial sum per sample: a smaller batch fits");
  const unsigned blocks = static_cast<unsigned>(
      std::min({std::int64_t{blocks_for(in.shape.plane(), kBlockThreads)}, std::int64_t{kMostBlocks}, room}));
  auto* partial = static_cast<Sums*>(cuda.context->workspace);
  const bool vectors = in.shape.channels % N == 0 && aligned<N>(in.tokens) && aligned<N>(gradient);
  const auto kernel = vectors ? loss_kernel<N, T> : loss_kernel<1, T>;
  kernel<<<static_cast<unsigned>(in.batch) * blocks, kBlockThreads, 0, stream_of(cuda)>>>(
      in, scale, static_cast<unsigned>(in.shape.plane()), blocks, gradient, partial);
  GPUMONTH_CUDA_LAUNCHED();
  sample_sums_kernel<<<static_cast<unsigned>(in.batch), 32, 0, stream_of(cuda)>>>(partial, blocks, values, loss, mse,
                                                                                  vb);
  GPUMONTH_CUDA_LAUNCHED();
}

template void diffusion_loss(Cuda&, const DiffusionLossInput&, float, float*, double*, double*, double*);
template void diffusion_loss(Cuda&, const DiffusionLossInput&, float, bf16*, double*, double*, double*);

}  // namespace gpumonth::ops
