// How close the memory-bound CUDA ops come to this GPU's copy bandwidth, on the shapes of DiT-XL/2 at batch
// 64 and of a model of 20 billion parameters (width 6144, 1,024 tokens) at batch 4:
//   bench_ops_cuda
// GB/s are the bytes that an op has to move at least, over the median of its times; the copy moves 1 GiB. Operands are
// random numbers of the sizes that a training has: square root and division of zero leave the GPU's fast path.
#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "trainer/ops/adamw.h"
#include "trainer/ops/add_broadcast.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/convert.h"
#include "trainer/ops/cuda/attention_choice.h"
#include "trainer/ops/cuda/attention_cudnn.h"
#include "trainer/ops/cuda/attention_whole.h"
#include "trainer/ops/cuda/autotune.h"
#include "trainer/ops/cuda/context.h"
#include "trainer/ops/diffusion.h"
#include "trainer/ops/diffusion_loss.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/grad_norm.h"
#include "trainer/ops/noising.h"
#include "trainer/ops/patchify.h"
#include "trainer/ops/residual_norm.h"

namespace {

using namespace gpumonth;
using ops::bf16, ops::Cuda;

template <class T>
using Buffer = ops::Buffer<Cuda, T>;

/// Times work on the stream, each call by itself; the host stays ahead of the GPU, so launches cost it nothing.
class Bench {
 public:
  explicit Bench(Cuda& cuda) : cuda_(cuda) { std::printf("%-44s%12s%12s%12s\n", "op", "us", "GB/s", "% of copy"); }
  void add(const char* name, double bytes, const std::function<void()>& op) {
    for (int i = 0; i < 3; ++i) op();
    for (int i = 0; i < kCalls; ++i) {
      GPUMONTH_CUDA(cudaEventRecord, begin_[i].get(), ops::stream_of(cuda_));
      op();
      GPUMONTH_CUDA(cudaEventRecord, end_[i].get(), ops::stream_of(cuda_));
    }
    ops::synchronize(cuda_);
    std::vector<double> times(kCalls);
    for (int i = 0; i < kCalls; ++i) times[i] = seconds_between(begin_[i], end_[i]);
    std::nth_element(times.begin(), times.begin() + kCalls / 2, times.end());
    const double seconds = times[kCalls / 2], rate = bytes / seconds;
    if (copy_bytes_per_s_ == 0) copy_bytes_per_s_ = rate;
    std::printf("%-44s%12.1f%12.0f%12.1f\n", name, seconds * 1e6, rate / 1e9, 100 * rate / copy_bytes_per_s_);
    std::fflush(stdout);
  }

 private:
  static constexpr int kCalls = 31;
  Cuda& cuda_;
  machine::CudaEvent begin_[kCalls], end_[kCalls];
  double copy_bytes_per_s_ = 0;  // the first entry's
};

/// `count` numbers, uniform in [low, high): a million of them, over and over.
template <class T>
Buffer<T> random_buffer(Cuda& cuda, std::int64_t count, float low, float high) {
  std::minstd_rand engine(static_cast<unsigned>(count));
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<T> values(static_cast<std::size_t>(std::min(count, std::int64_t{1} << 20)));
  for (T& v : values) v = ops::from_float<T>(uniform(engine));
  Buffer<T> buffer(cuda, count);
  const auto known = static_cast<std::int64_t>(values.size());
  ops::copy_to_device(cuda, buffer.get(), values.data(), values.size() * sizeof(T));
  for (std::int64_t i = known; i < count; i += known)
    GPUMONTH_CUDA(cudaMemcpyAsync, buffer.get() + i, buffer.get(),
                  static_cast<std::size_t>(std::min(known, count - i)) * sizeof(T), cudaMemcpyDeviceToDevice,
                  ops::stream_of(cuda));
  return buffer;
}

void copy(Bench& bench, Cuda& cuda) {
  const std::int64_t n = std::int64_t{1} << 30;
  Buffer<char> from(cuda, n), to(cuda, n);
  bench.add("cudaMemcpyAsync, device to device", 2.0 * static_cast<double>(n), [&] {
    GPUMONTH_CUDA(cudaMemcpyAsync, to.get(), from.get(), from.bytes(), cudaMemcpyDeviceToDevice, ops::stream_of(cuda));
  });
}

/// Over a flat buffer of n parameters.
void optimizer(Bench& bench, Cuda& cuda, std::int64_t n) {
  const auto g = random_buffer<float>(cuda, n, -1e-3f, 1e-3f), p = random_buffer<float>(cuda, n, -0.1f, 0.1f),
             m = random_buffer<float>(cuda, n, -1e-3f, 1e-3f), v = random_buffer<float>(cuda, n, 1e-8f, 1e-6f),
             e = random_buffer<float>(cuda, n, -0.1f, 0.1f);
  Buffer<bf16> rounded(cuda, n);
  Buffer<ops::AdamWStep> step(cuda, 1);
  Buffer<ops::Clipping> clipping(cuda, 1);
  Buffer<double> partial(cuda, ops::norm_blocks(n));
  const ops::AdamWStep constants = ops::adamw_step({}, 1);
  const ops::Clipping unclipped;
  ops::copy_to_device(cuda, step.get(), &constants, sizeof constants);
  ops::copy_to_device(cuda, clipping.get(), &unclipped, sizeof unclipped);
  const auto count = static_cast<double>(n);
  bench.add("adamw, with bf16 weights", 38 * count, [&] {
    ops::adamw(cuda, step.get(), clipping.get(), n, g.get(), p.get(), m.get(), v.get(), e.get(), rounded.get());
  });
  bench.add("adamw, fp32", 36 * count, [&] {
    ops::adamw(cuda, step.get(), clipping.get(), n, g.get(), p.get(), m.get(), v.get(), e.get(), nullptr);
  });
  bench.add("squares_by_block", 4 * count,
            [&] { ops::squares_by_block(cuda, g.get(), n, 0, ops::norm_blocks(n), partial.get()); });
  bench.add("clipping", 8 * static_cast<double>(ops::norm_blocks(n)),
            [&] { ops::clipping(cuda, partial.get(), ops::norm_blocks(n), 1.0, clipping.get()); });
}

/// The ops of one block on activations (B, T, h) in T.
template <class T>
void block(Bench& bench, Cuda& cuda, std::int64_t batch, std::int64_t tokens, std::int64_t h) {
  const std::int64_t rows = batch * tokens, n = rows * h, mlp = 4 * h;
  const ops::ResidualNormShape shape{batch, tokens, h, 6 * h};
  const auto x = random_buffer<float>(cuda, n, -2, 2), x_out = random_buffer<float>(cuda, n, -2, 2),
             modulation = random_buffer<float>(cuda, batch * 6 * h, -1, 1),
             positions = random_buffer<float>(cuda, tokens * h, -1, 1);
  const Buffer<float> d_modulation(cuda, batch * 6 * h), mean(cuda, rows), rstd(cuda, rows), bias(cuda, mlp),
      scratch(cuda, std::max(ops::residual_norm_scratch(shape), ops::column_sum_scratch(rows, mlp)));
  const auto branch = random_buffer<T>(cuda, n, -2, 2), y = random_buffer<T>(cuda, n, -2, 2),
             wide = random_buffer<T>(cuda, rows * mlp, -2, 2), wide_too = random_buffer<T>(cuda, rows * mlp, -2, 2);
  const auto count = static_cast<double>(n), mlp_count = static_cast<double>(rows * mlp), size = double{sizeof(T)};
  float* m = modulation.get();
  float* d = d_modulation.get();
  bench.add("residual_norm_forward", (8 + 2 * size) * count, [&] {
    ops::residual_norm_forward(cuda, shape,
                               ops::ResidualNormForward<T>{x.get(), branch.get(), m, m + h, m + 2 * h, x_out.get(),
                                                           y.get(), mean.get(), rstd.get()});
  });
  bench.add("residual_norm_forward, no branch", (4 + size) * count, [&] {
    ops::residual_norm_forward(cuda, shape,
                               ops::ResidualNormForward<T>{x.get(), nullptr, nullptr, m + h, m + 2 * h, nullptr,
                                                           y.get(), mean.get(), rstd.get()});
  });
  bench.add("residual_norm_backward", (12 + 3 * size) * count, [&] {
    ops::residual_norm_backward(
        cuda, shape,
        ops::ResidualNormBackward<T>{y.get(), x_out.get(), false, x.get(), mean.get(), rstd.get(), m, d, d + h,
                                     branch.get(), m + h, wide.get(), d + 2 * h, bias.get()},
        scratch.get());
  });
  bench.add("gelu_forward (rows, 4h)", 2 * size * mlp_count,
            [&] { ops::gelu_forward(cuda, rows * mlp, wide.get(), wide_too.get()); });
  bench.add("gelu_backward (rows, 4h)", 3 * size * mlp_count,
            [&] { ops::gelu_backward(cuda, rows, mlp, wide.get(), wide_too.get(), bias.get(), scratch.get()); });
  bench.add("column_sum (rows, 3h)", size * 3 * count,
            [&] { ops::column_sum(cuda, rows, 3 * h, 3 * h, wide.get(), bias.get(), scratch.get()); });
  bench.add("convert to T", (4 + size) * count, [&] { ops::convert(cuda, n, x.get(), y.get()); });
  bench.add("add_broadcast", 8 * count, [&] { ops::add_broadcast(cuda, batch, tokens * h, positions.get(), x.get()); });
}

/// The ops of latents: small beside the rest, so their launch shows.
void latents(Bench& bench, Cuda& cuda, std::int64_t batch, std::int64_t side) {
  const ops::LatentShape shape{4, 1, side, side, 1, 2};
  const std::int64_t sample = shape.channels * shape.plane(), n = batch * sample;
  Buffer<float> x_0(cuda, n), noise(cuda, n), x_t(cuda, n), tokens(cuda, 2 * n);
  Buffer<bf16> patches(cuda, n), gradient(cuda, 2 * n);
  Buffer<std::int32_t> t(cuda, batch);
  Buffer<double> loss(cuda, batch);
  Buffer<ops::StepCoefficients> table(cuda, ops::kDiffusionSteps);
  const auto coefficients = ops::step_coefficients(ops::DiffusionSchedule());
  ops::copy_to_device(cuda, table.get(), coefficients.data(), table.bytes());
  const std::vector<std::int32_t> steps(static_cast<std::size_t>(batch), 500);
  ops::copy_to_device(cuda, t.get(), steps.data(), t.bytes());
  const auto count = static_cast<double>(n);
  bench.add("draw_noise", 4 * count, [&] { ops::draw_noise(cuda, 1, 1, 0, batch, sample, noise.get()); });
  bench.add("add_noise", 12 * count,
            [&] { ops::add_noise(cuda, x_0.get(), noise.get(), t.get(), table.get(), batch, sample, x_t.get()); });
  bench.add("patchify, bf16", 6 * count, [&] { ops::patchify(cuda, x_t.get(), shape, batch, patches.get()); });
  bench.add("diffusion_loss, bf16 gradient", (8 + 4 + 4) * count, [&] {
    ops::diffusion_loss(
        cuda, ops::DiffusionLossInput{tokens.get(), x_0.get(), noise.get(), t.get(), table.get(), shape, batch, true},
        1.0f, gradient.get(), loss.get(), nullptr, nullptr);
  });
}

/// Attention in bf16: by whole heads, by cuDNN, and what a run takes. In a context of its own, in which cuDNN need not be
/// deterministic.
void attention(const ops::AttentionShape& s) {
  Cuda cuda{std::make_shared<ops::CudaContext>(0, false)};
  Bench bench(cuda);
  copy(bench, cuda);
  const std::int64_t n = s.batch * s.tokens * s.heads * s.head_dim, rows = s.batch * s.heads * s.tokens;
  ops::TrialBuffer qkv(cuda, ops::Dtype::bf16, 3 * n), dout(cuda, ops::Dtype::bf16, n);
  Buffer<bf16> out(cuda, n), dqkv(cuda, 3 * n);
  Buffer<float> lse(cuda, rows);
  const auto add = [&](const char* name, const ops::FusedAttention& by) {
    std::printf("%s: forward %s, backward %s\n", name, by.forward_plan.c_str(), by.backward_plan.c_str());
    if (by.forward)
      bench.add("attention forward", static_cast<double>(8 * n + 4 * rows),
                [&] { by.forward(qkv.as<bf16>(), out.get(), lse.get()); });
    if (by.backward)
      bench.add("attention backward", static_cast<double>(16 * n + 4 * rows),
                [&] { by.backward(qkv.as<bf16>(), out.get(), lse.get(), dout.as<bf16>(), dqkv.get()); });
  };
  add("whole heads", {ops::whole_attention_forward(cuda, s), ops::whole_attention_backward(cuda, s), "", ""});
  add("library", ops::make_fused_attention(cuda, s));
  add("chosen", ops::fastest_attention(cuda, s));
}

int run() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("bench_ops_cuda: no GPU here");
    return 77;
  }
  Cuda cuda{std::make_shared<ops::CudaContext>(0, true)};
  cudaDeviceProp properties{};
  GPUMONTH_CUDA(cudaGetDeviceProperties, &properties, 0);
  std::printf("%s, %d multiprocessors\n", properties.name, properties.multiProcessorCount);
  Bench bench(cuda);
  copy(bench, cuda);
  std::puts("-- attention, batch 128, 256 tokens, 16 heads of 72 (DiT-XL/2); then 12 of 64 (DiT-B/2)");
  attention({128, 256, 16, 72});
  attention({128, 256, 12, 64});
  std::puts("-- 675 M parameters (DiT-XL/2)");
  optimizer(bench, cuda, 675'000'000);
  std::puts("-- batch 64, 256 tokens, width 1152, bf16 (DiT-XL/2)");
  block<bf16>(bench, cuda, 64, 256, 1152);
  std::puts("-- batch 64, 256 tokens, width 1152, fp32");
  block<float>(bench, cuda, 64, 256, 1152);
  std::puts("-- batch 4, 1,024 tokens, width 6144, bf16 (20 B)");
  block<bf16>(bench, cuda, 4, 1024, 6144);
  std::puts("-- latents: batch 64, 4 x 32 x 32");
  latents(bench, cuda, 64, 32);
  std::puts("-- latents: batch 64, 4 x 512 x 512, where launches do not count");
  latents(bench, cuda, 64, 512);
  return 0;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_ops_cuda: %s\n", e.what());
    return 1;
  }
}
