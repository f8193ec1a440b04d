#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "trainer/ops/column_sum.h"
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

template <class T, class Y>
CublasMatmulShape forward_shape(const LinearShape& s, Epilogue epilogue) {
  return {.m = s.rows,
          .n = s.out,
          .k = s.in,
          .in = dtype_of<T>(),
          .out = dtype_of<Y>(),
          .b_transposed = true,
          .c_stride = s.y_stride,
          .epilogue = epilogue};
}

template <class T>
CublasMatmulShape data_shape(const LinearShape& s, Epilogue epilogue) {
  return {.m = s.rows,
          .n = s.in,
          .k = s.out,
          .in = dtype_of<T>(),
          .out = dtype_of<T>(),
          .a_stride = s.y_stride,
          .epilogue = epilogue};
}

template <class T>
CublasMatmulShape weights_shape(const LinearShape& s, Epilogue epilogue) {
  return {.m = s.out,
          .n = s.in,
          .k = s.rows,
          .in = dtype_of<T>(),
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
template <class T>
std::optional<CublasMatmul> fuse_forward_gelu(Cuda& device, const LinearShape& s, const CublasMatmul& forward) {
  const CublasMatmulShape shape = forward_shape<T, T>(s, Epilogue::gelu_aux_bias);
  std::optional<CublasMatmul> fused = CublasMatmul::make(device, shape);
  if (!fused) return fused;
  const bool taken = decided_once(device, describe(shape) + ", against separate ops", [&] {
    const std::int64_t n = s.rows * s.out;
    constexpr Dtype kType = dtype_of<T>();
    const TrialBuffer x(device, kType, s.rows * s.in), w(device, kType, s.out * s.in), b(device, kType, s.out),
        u1(device, kType, n), y1(device, kType, n), u2(device, kType, n), y2(device, kType, n);
    if (!x || !w || !b || !u1 || !y1 || !u2 || !y2) return no_memory();
    return judge(
        device, kRounding16, [&] { fused->run(x.get(), w.get(), y1.get(), b.get(), u1.get()); },
        [&] {
          forward.run(x.get(), w.get(), u2.get(), b.get());
          gelu_forward(device, n, u2.as<T>(), y2.as<T>());
        },
        [&] {
          return std::max(relative_distance_on_gpu(device, kType, n, u1.get(), u2.get()),
                          relative_distance_on_gpu(device, kType, n, y1.get(), y2.get()));
        });
  });
  if (!taken) fused.reset();
  return fused;
}

/// fc2's backward: du = gelu'(u) * (dy W) in one, with du's column sums or without.
template <class T>
std::optional<CublasMatmul> fuse_data_gelu(Cuda& device, const LinearShape& s, const CublasMatmul& data,
                                           Epilogue epilogue) {
  const CublasMatmulShape shape = data_shape<T>(s, epilogue);
  std::optional<CublasMatmul> fused = CublasMatmul::make(device, shape);
  if (!fused) return fused;
  const bool taken = decided_once(device, describe(shape) + ", against separate ops", [&] {
    const std::int64_t n = s.rows * s.in;
    constexpr Dtype kType = dtype_of<T>();
    const TrialBuffer dy(device, kType, s.rows * s.y_stride), w(device, kType, s.out * s.in), u(device, kType, n),
        du1(device, kType, n), du2(device, kType, n), db1(device, Dtype::fp32, s.in), db2(device, Dtype::fp32, s.in),
        scratch(device, Dtype::fp32, column_sum_scratch(s.rows, s.in));
    if (!dy || !w || !u || !du1 || !du2 || !db1 || !db2 || !scratch) return no_memory();
    const bool sums = epilogue == Epilogue::dgelu_bgrad;
    return judge(
        device, kRounding16,
        [&] {
          fused->run(dy.get(), w.get(), du1.get(), sums ? db1.get() : nullptr, u.get());
          if (!sums) column_sum(device, s.rows, s.in, s.in, du1.as<T>(), db1.as<float>(), scratch.as<float>());
        },
        [&] {
          data.run(dy.get(), w.get(), du2.get());
          gelu_backward(device, s.rows, s.in, u.as<T>(), du2.as<T>(), db2.as<float>(), scratch.as<float>());
        },
        [&] {
          return std::max(relative_distance_on_gpu(device, kType, n, du1.get(), du2.get()),
                          relative_distance_on_gpu(device, Dtype::fp32, s.in, db1.get(), db2.get()));
        });
  });
  if (!taken) fused.reset();
  return fused;
}

/// dW = dy^T x and dbias = dy's column sums in one.
template <class T>
std::optional<CublasMatmul> fuse_weights_bias(Cuda& device, const LinearShape& s, const CublasMatmul& weights) {
  const CublasMatmulShape shape = weights_shape<T>(s, Epilogue::bgrad_a);
  std::optional<CublasMatmul> fused = CublasMatmul::make(device, shape);
  if (!fused) return fused;
  const bool taken = decided_once(device, describe(shape) + ", against separate ops", [&] {
    const std::int64_t n = s.out * s.in;
    constexpr Dtype kType = dtype_of<T>();
    const TrialBuffer dy(device, kType, s.rows * s.y_stride), x(device, kType, s.rows * s.in),
        dw1(device, Dtype::fp32, n), dw2(device, Dtype::fp32, n), db1(device, Dtype::fp32, s.out),
        db2(device, Dtype::fp32, s.out), scratch(device, Dtype::fp32, column_sum_scratch(s.rows, s.out));
    if (!dy || !x || !dw1 || !dw2 || !db1 || !db2 || !scratch) return no_memory();
    return judge(
        device, kRounding32, [&] { fused->run(dy.get(), x.get(), dw1.get(), db1.get()); },
        [&] {
          weights.run(dy.get(), x.get(), dw2.get());
          column_sum(device, s.rows, s.out, s.y_stride, dy.as<T>(), db2.as<float>(), scratch.as<float>());
        },
        [&] {
          return std::max(relative_distance_on_gpu(device, Dtype::fp32, n, dw1.get(), dw2.get()),
                          relative_distance_on_gpu(device, Dtype::fp32, s.out, db1.get(), db2.get()));
        });
  });
  if (!taken) fused.reset();
  return fused;
}

template <class T, class Y>
std::pair<CublasMatmul, bool> forward_product(Cuda& device, const LinearShape& s) {
  if (auto with_bias = CublasMatmul::make(device, forward_shape<T, Y>(s, Epilogue::bias)))
    return {std::move(*with_bias), true};
  return {CublasMatmul(device, forward_shape<T, Y>(s, Epilogue::none)), false};
}

/// The library's GELU is for bf16 only: its tanh is the hardware's, to about 11 bits, and fp32 is for
/// comparing. Its aux rows must be a multiple of 8 elements apart.
template <class T, class Result>
bool can_fuse_gelu(const LinearShape& s, std::int64_t width) {
  return s.packed && std::is_same_v<T, bf16> && std::is_same_v<Result, bf16> && width % 8 == 0;
}

}  // namespace

template <class T, class Y>
LinearProducts<T, Y>::LinearProducts(Cuda& device, const LinearShape& s)
    : LinearProducts(device, s, forward_product<T, Y>(device, s)) {}

template <class T, class Y>
LinearProducts<T, Y>::LinearProducts(Cuda& device, const LinearShape& s, std::pair<CublasMatmul, bool> made)
    : forward(std::move(made.first)), forward_adds_bias(made.second) {
  if (s.backward) weights.emplace(device, weights_shape<T>(s, Epilogue::none));
  if (s.backward && s.needs_dx) data.emplace(device, data_shape<T>(s, Epilogue::none));
  if (can_fuse_gelu<T, Y>(s, s.out) && s.y_stride == s.out && forward_adds_bias)
    forward_gelu = fuse_forward_gelu<T>(device, s, forward);
  if (data && can_fuse_gelu<T, T>(s, s.in)) {
    // How dgelu_bgrad sums over blocks is not documented: not where the bits must repeat.
    if (!device.context->deterministic) data_gelu = fuse_data_gelu<T>(device, s, *data, Epilogue::dgelu_bgrad);
    data_gelu_sums = data_gelu.has_value();
    if (!data_gelu) data_gelu = fuse_data_gelu<T>(device, s, *data, Epilogue::dgelu);
  }
  if (weights && s.packed) weights_bias = fuse_weights_bias<T>(device, s, *weights);  // else few rows: nothing to gain
}

template struct LinearProducts<float, float>;
template struct LinearProducts<bf16, bf16>;
template struct LinearProducts<bf16, float>;

template <class Y>
void add_bias(const Cuda& device, std::int64_t rows, std::int64_t columns, std::int64_t stride, const Y* bias, Y* y) {
  constexpr std::int64_t kThreads = 256, kMostBlocks = 4096;
  const auto blocks = static_cast<unsigned>(std::min(kMostBlocks, (rows * columns + kThreads - 1) / kThreads));
  add_bias_kernel<<<blocks, kThreads, 0, stream_of(device)>>>(rows, columns, stride, bias, y);
  GPUMONTH_CUDA_LAUNCHED();
}

template void add_bias(const Cuda&, std::int64_t, std::int64_t, std::int64_t, const float*, float*);
template void add_bias(const Cuda&, std::int64_t, std::int64_t, std::int64_t, const bf16*, bf16*);

}  // namespace gpumonth::ops
