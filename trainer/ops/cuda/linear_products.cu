#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cuda/autotune.h"
#include "trainer/ops/cuda/linear_products.h"
#include "trainer/ops/cuda/matmul_tuning.h"
#include "trainer/ops/gelu.h"

namespace gpumonth::ops {
namespace {

constexpr double kTrialUs = 5e3;
/// What a fused product may differ by. bf16: a result or two rounded to 8 bits; a vector of another type, or
/// sums of the wrong rows, are off by about 1. fp32: the order of the sums.
constexpr double kRounding16 = 1e-2, kRounding32 = 1e-4;

CublasMatmulShape forward_shape(const LinearShape& s, Epilogue epilogue) {
  return {.m = s.rows,
          .n = s.out,
          .k = s.in,
          .in = s.dtype,
          .out = s.y_dtype,
          .b_transposed = true,
          .c_stride = s.y_stride,
          .epilogue = epilogue};
}

CublasMatmulShape data_shape(const LinearShape& s, Epilogue epilogue) {
  return {.m = s.rows,
          .n = s.in,
          .k = s.out,
          .in = s.dtype,
          .out = s.dx_dtype,
          .a_stride = s.y_stride,
          .epilogue = epilogue};
}

CublasMatmulShape weights_shape(const LinearShape& s, Epilogue epilogue) {
  return {.m = s.out,
          .n = s.in,
          .k = s.rows,
          .in = s.dtype,
          .out = Dtype::fp32,
          .a_transposed = true,
          .a_stride = s.y_stride,
          .epilogue = epilogue};
}

template <class T>
__global__ void add_bias_kernel(std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* bias, T* y) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < rows * columns;
       i += step) {
    const std::int64_t row = i / columns, column = i % columns;
    T& value = y[row * stride + column];
    value = from_float<T>(to_float(value) + to_float(bias[column]));
  }
}

/// Whether to take the fused way: when it gives the same, and, unless the bits must not depend on timing, in
/// no more time.
Decision judge(const Cuda& device, double tolerance, const std::function<void()>& fused,
               const std::function<void()>& separate, const std::function<double()>& distance) {
  fused();
  separate();
  const double off = distance();
  const bool agrees = off <= tolerance;  // false for NaN
  const double fused_us = time_us(device, kTrialUs, fused), separate_us = time_us(device, kTrialUs, separate);
  const bool pays = device.context->deterministic || fused_us <= separate_us;
  char text[160];
  std::snprintf(text, sizeof text, "%s: %.1f us, separate ops %.1f us; they differ by %.1e, allowed %.0e",
                agrees && pays ? "fused"
                : agrees       ? "not fused, slower"
                               : "NOT FUSED, WRONG",
                fused_us, separate_us, off, tolerance);
  return {agrees && pays, text};
}

Decision no_memory() { return {false, "not fused: the GPU's free memory does not hold a trial"}; }

/// fc1: u = x W^T + b and y = gelu(u) in one.
std::optional<CublasMatmul> fuse_forward_gelu(Cuda& device, const LinearShape& s, const CublasMatmul& forward) {
  const CublasMatmulShape shape = forward_shape(s, Epilogue::gelu_aux_bias);
  std::optional<CublasMatmul> fused = CublasMatmul::make(device, shape);
  if (!fused) return fused;
  const bool taken = decided_once(device, describe(shape) + ", against separate ops", [&] {
    const std::int64_t n = s.rows * s.out;
    const TrialBuffer x(device, s.dtype, s.rows * s.in), w(device, s.dtype, s.out * s.in), b(device, s.dtype, s.out),
        u1(device, s.dtype, n), y1(device, s.dtype, n), u2(device, s.dtype, n), y2(device, s.dtype, n);
    if (!x || !w || !b || !u1 || !y1 || !u2 || !y2) return no_memory();
    return judge(
        device, kRounding16, [&] { fused->run(x.get(), w.get(), y1.get(), b.get(), u1.get()); },
        [&] {
          forward.run(x.get(), w.get(), u2.get(), b.get());
          gelu_forward_of(device, s.dtype, n, u2.get(), y2.get());
        },
        [&] {
          return std::max(relative_distance_on_gpu(device, s.dtype, n, u1.get(), u2.get()),
                          relative_distance_on_gpu(device, s.dtype, n, y1.get(), y2.get()));
        });
  });
  if (!taken) fused.reset();
  return fused;
}

/// fc2's backward: du = gelu'(u) * (dy W) in one, with du's column sums or without.
std::optional<CublasMatmul> fuse_data_gelu(Cuda& device, const LinearShape& s, const CublasMatmul& data,
                                           Epilogue epilogue) {
  const CublasMatmulShape shape = data_shape(s, epilogue);
  std::optional<CublasMatmul> fused = CublasMatmul::make(device, shape);
  if (!fused) return fused;
  const bool taken = decided_once(device, describe(shape) + ", against separate ops", [&] {
    const std::int64_t n = s.rows * s.in;
    const TrialBuffer dy(device, s.dtype, s.rows * s.y_stride), w(device, s.dtype, s.out * s.in), u(device, s.dtype, n),
        du1(device, s.dtype, n), du2(device, s.dtype, n), db1(device, Dtype::fp32, s.in),
        db2(device, Dtype::fp32, s.in), scratch(device, Dtype::fp32, column_sum_scratch(s.rows, s.in));
    if (!dy || !w || !u || !du1 || !du2 || !db1 || !db2 || !scratch) return no_memory();
    const bool sums = epilogue == Epilogue::dgelu_bgrad;
    return judge(
        device, kRounding16,
        [&] {
          fused->run(dy.get(), w.get(), du1.get(), sums ? db1.get() : nullptr, u.get());
          if (!sums) column_sum_of(device, s.dtype, s.rows, s.in, s.in, du1.get(), db1.floats(), scratch.floats());
        },
        [&] {
          data.run(dy.get(), w.get(), du2.get());
          gelu_backward_of(device, s.dtype, s.rows, s.in, u.get(), du2.get(), db2.floats(), scratch.floats());
        },
        [&] {
          return std::max(relative_distance_on_gpu(device, s.dtype, n, du1.get(), du2.get()),
                          relative_distance_on_gpu(device, Dtype::fp32, s.in, db1.get(), db2.get()));
        });
  });
  if (!taken) fused.reset();
  return fused;
}

/// dW = dy^T x and dbias = dy's column sums in one.
std::optional<CublasMatmul> fuse_weights_bias(Cuda& device, const LinearShape& s, const CublasMatmul& weights) {
  const CublasMatmulShape shape = weights_shape(s, Epilogue::bgrad_a);
  std::optional<CublasMatmul> fused = CublasMatmul::make(device, shape);
  if (!fused) return fused;
  const bool taken = decided_once(device, describe(shape) + ", against separate ops", [&] {
    const std::int64_t n = s.out * s.in;
    const TrialBuffer dy(device, s.dtype, s.rows * s.y_stride), x(device, s.dtype, s.rows * s.in),
        dw1(device, Dtype::fp32, n), dw2(device, Dtype::fp32, n), db1(device, Dtype::fp32, s.out),
        db2(device, Dtype::fp32, s.out), scratch(device, Dtype::fp32, column_sum_scratch(s.rows, s.out));
    if (!dy || !x || !dw1 || !dw2 || !db1 || !db2 || !scratch) return no_memory();
    return judge(
        device, kRounding32, [&] { fused->run(dy.get(), x.get(), dw1.get(), db1.get()); },
        [&] {
          weights.run(dy.get(), x.get(), dw2.get());
          column_sum_of(device, s.dtype, s.rows, s.out, s.y_stride, dy.get(), db2.floats(), scratch.floats());
        },
        [&] {
          return std::max(relative_distance_on_gpu(device, Dtype::fp32, n, dw1.get(), dw2.get()),
                          relative_distance_on_gpu(device, Dtype::fp32, s.out, db1.get(), db2.get()));
        });
  });
  if (!taken) fused.reset();
  return fused;
}

std::pair<CublasMatmul, bool> forward_product(Cuda& device, const LinearShape& s) {
  if (auto with_bias = CublasMatmul::make(device, forward_shape(s, Epilogue::bias)))
    return {std::move(*with_bias), true};
  return {CublasMatmul(device, forward_shape(s, Epilogue::none)), false};
}

/// The library's GELU is for bf16 only: its tanh is the hardware's, to about 11 bits, and fp32 is for
/// comparing. Its aux rows must be a multiple of 8 elements apart.
bool can_fuse_gelu(const LinearShape& s, Dtype result, std::int64_t width) {
  return s.packed && s.dtype == Dtype::bf16 && result == Dtype::bf16 && width % 8 == 0;
}

}  // namespace

LinearProducts::LinearProducts(Cuda& device, const LinearShape& s)
    : LinearProducts(device, s, forward_product(device, s)) {}

LinearProducts::LinearProducts(Cuda& device, const LinearShape& s, std::pair<CublasMatmul, bool> made)
    : forward(std::move(made.first)), forward_adds_bias(made.second) {
  if (s.backward) weights.emplace(device, weights_shape(s, Epilogue::none));
  if (s.backward && s.needs_dx) data.emplace(device, data_shape(s, Epilogue::none));
  if (can_fuse_gelu(s, s.y_dtype, s.out) && s.y_stride == s.out && forward_adds_bias)
    forward_gelu = fuse_forward_gelu(device, s, forward);
  if (data && can_fuse_gelu(s, s.dx_dtype, s.in)) {
    // How dgelu_bgrad sums over blocks is not documented: not where the bits must repeat.
    if (!device.context->deterministic) data_gelu = fuse_data_gelu(device, s, *data, Epilogue::dgelu_bgrad);
    data_gelu_sums = data_gelu.has_value();
    if (!data_gelu) data_gelu = fuse_data_gelu(device, s, *data, Epilogue::dgelu);
  }
  if (weights && s.packed) weights_bias = fuse_weights_bias(device, s, *weights);  // else few rows: nothing to gain
}

void add_bias(const Cuda& device, std::int64_t rows, std::int64_t columns, std::int64_t stride, Dtype dtype,
              const void* bias, void* y) {
  constexpr std::int64_t kThreads = 256, kMostBlocks = 4096;
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, (rows * columns + kThreads - 1) / kThreads));
  if (dtype == Dtype::bf16)
    add_bias_kernel<<<blocks, kThreads, 0, stream_of(device)>>>(rows, columns, stride, static_cast<const bf16*>(bias),
                                                                static_cast<bf16*>(y));
  else
    add_bias_kernel<<<blocks, kThreads, 0, stream_of(device)>>>(rows, columns, stride, static_cast<const float*>(bias),
                                                                static_cast<float*>(y));
  GPUMONTH_CUDA_LAUNCHED();
}

void gelu_forward_of(Cuda& device, Dtype dtype, std::int64_t n, const void* u, void* y) {
  if (dtype == Dtype::bf16)
    gelu_forward(device, n, static_cast<const bf16*>(u), static_cast<bf16*>(y));
  else
    gelu_forward(device, n, static_cast<const float*>(u), static_cast<float*>(y));
}

void gelu_backward_of(Cuda& device, Dtype dtype, std::int64_t rows, std::int64_t columns, const void* u, void* dy,
                      float* dbias, float* scratch) {
  if (dtype == Dtype::bf16)
    gelu_backward(device, rows, columns, static_cast<const bf16*>(u), static_cast<bf16*>(dy), dbias, scratch);
  else
    gelu_backward(device, rows, columns, static_cast<const float*>(u), static_cast<float*>(dy), dbias, scratch);
}

void column_sum_of(Cuda& device, Dtype dtype, std::int64_t rows, std::int64_t columns, std::int64_t stride,
                   const void* dy, float* dbias, float* scratch) {
  if (dtype == Dtype::bf16)
    column_sum(device, rows, columns, stride, static_cast<const bf16*>(dy), dbias, scratch);
  else
    column_sum(device, rows, columns, stride, static_cast<const float*>(dy), dbias, scratch);
}

}  // namespace gpumonth::ops
