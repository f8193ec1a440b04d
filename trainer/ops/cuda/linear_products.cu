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

constexpr double kTrialUs = 2e4;  // for both ways of a trial
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
          .tf32 = s.tf32,
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
          .tf32 = s.tf32,
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
          .tf32 = s.tf32,
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

__global__ void widen_kernel(std::int64_t n, const bf16* from, float* to) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) to[i] = to_float(from[i]);
}

/// Whether to take the fused way rather than `other`: when it gives the same, and, unless the bits must not depend on
/// timing, in no more time. Timed in turns: a GPU at its power limit has another clock every few milliseconds.
Decision judge(const Cuda& device, double tolerance, const std::function<void()>& fused, const char* other,
               const std::function<void()>& separate, const std::function<double()>& distance) {
  fused();
  separate();
  const double off = distance();
  const bool agrees = off <= tolerance;  // false for NaN
  const auto [fused_us, separate_us] = time_in_turns_us(device, kTrialUs, fused, separate);
  const bool pays = device.context->deterministic || fused_us <= separate_us;
  char text[160];
  std::snprintf(text, sizeof text, "%s: %.1f us, %s %.1f us; they differ by %.1e, allowed %.0e",
                agrees && pays ? "fused"
                : agrees       ? "not fused, slower"
                               : "NOT FUSED, WRONG",
                fused_us, other, separate_us, off, tolerance);
  return {agrees && pays, text};
}

constexpr const char* kSeparate = "separate ops";

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
        device, kRounding16, [&] { fused->run(x.get(), w.get(), y1.get(), b.get(), u1.get()); }, kSeparate,
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

/// What fc2's backward is tried on: du = gelu'(u) * (dy W) and its column sums, in one of three ways.
template <class T>
class DataGeluTrial {
 public:
  DataGeluTrial(Cuda& device, const LinearShape& s)
      : device_(device), s_(s), dy_(device, kType, s.rows * s.y_stride), w_(device, kType, s.out * s.in),
        u_(device, kType, n()), du_{{device, kType, n()}, {device, kType, n()}}, db_{{device, Dtype::fp32, s.in},
                                                                                     {device, Dtype::fp32, s.in}},
        scratch_(device, Dtype::fp32, column_sum_scratch(s.rows, s.in)) {}

  /// `first`, of dgelu or dgelu_bgrad, against `second`, or where that is null against `data` and gelu_backward().
  Decision judge_against(const CublasMatmul& first, bool first_sums, const CublasMatmul* second,
                         const CublasMatmul& data) const {
    if (!dy_ || !w_ || !u_ || !du_[0] || !du_[1] || !db_[0] || !db_[1] || !scratch_) return no_memory();
    const auto separate = [&] {
      data.run(dy_.get(), w_.get(), du_[1].get());
      gelu_backward(device_, s_.rows, s_.in, u_.as<T>(), du_[1].as<T>(), db_[1].as<float>(), scratch_.as<float>());
    };
    return judge(
        device_, kRounding16, [&] { fused(first, first_sums, 0); }, second ? "dgelu and column sums" : kSeparate,
        [&] { second ? fused(*second, false, 1) : separate(); },
        [&] {
          return std::max(relative_distance_on_gpu(device_, kType, n(), du_[0].get(), du_[1].get()),
                          relative_distance_on_gpu(device_, Dtype::fp32, s_.in, db_[0].get(), db_[1].get()));
        });
  }

 private:
  static constexpr Dtype kType = dtype_of<T>();
  std::int64_t n() const { return s_.rows * s_.in; }
  void fused(const CublasMatmul& product, bool sums, int to) const {
    run_data_gelu(device_, s_, product, sums, dy_.as<T>(), w_.as<T>(), u_.as<T>(), du_[to].as<T>(), db_[to].as<float>(),
                  scratch_.as<float>());
  }

  Cuda& device_;
  LinearShape s_;
  TrialBuffer dy_, w_, u_, du_[2], db_[2], scratch_;
};

/// The faster of dgelu_bgrad and dgelu with column sums, where that beats the product and a pass over its result.
template <class T>
void fuse_data_gelu(Cuda& device, const LinearShape& s, const CublasMatmul& data, std::optional<CublasMatmul>& fused,
                    bool& sums) {
  const auto name = [&s](Epilogue epilogue) { return describe(data_shape<T>(s, epilogue)); };
  fused = CublasMatmul::make(device, data_shape<T>(s, Epilogue::dgelu));
  // How dgelu_bgrad sums over blocks is not documented: not where the bits must repeat.
  if (fused && !device.context->deterministic) {
    auto with_sums = CublasMatmul::make(device, data_shape<T>(s, Epilogue::dgelu_bgrad));
    sums = with_sums && decided_once(device, name(Epilogue::dgelu_bgrad) + ", against dgelu", [&] {
             return DataGeluTrial<T>(device, s).judge_against(*with_sums, true, &*fused, data);
           });
    if (sums) fused = std::move(with_sums);
  }
  if (!fused) return;
  const Epilogue epilogue = sums ? Epilogue::dgelu_bgrad : Epilogue::dgelu;
  const bool taken = decided_once(device, name(epilogue) + ", against separate ops", [&] {
    return DataGeluTrial<T>(device, s).judge_against(*fused, sums, nullptr, data);
  });
  if (!taken) fused.reset();
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
        device, kRounding32, [&] { fused->run(dy.get(), x.get(), dw1.get(), db1.get()); }, kSeparate,
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
  if (data && can_fuse_gelu<T, T>(s, s.in)) fuse_data_gelu<T>(device, s, *data, data_gelu, data_gelu_sums);
  if (weights && s.packed) weights_bias = fuse_weights_bias<T>(device, s, *weights);  // else few rows: nothing to gain
}

template <class T>
void run_data_gelu(Cuda& device, const LinearShape& s, const CublasMatmul& product, bool sums, const T* dy, const T* w,
                   const T* u, T* du, float* dbias, float* scratch) {
  T* const aux = const_cast<T*>(u);  // dgelu reads it
  if (!sums) {
    product.run(dy, w, du, nullptr, aux);
    column_sum(device, s.rows, s.in, s.in, du, dbias, scratch);
  } else if constexpr (std::is_same_v<T, float>) {
    product.run(dy, w, du, dbias, aux);
  } else {
    T* const narrow = reinterpret_cast<T*>(scratch);  // of cudaMalloc, as is the scratch memory of every op
    product.run(dy, w, du, narrow, aux);
    widen_kernel<<<static_cast<unsigned>((s.in + 255) / 256), 256, 0, stream_of(device)>>>(s.in, narrow, dbias);
    GPUMONTH_CUDA_LAUNCHED();
  }
}

template void run_data_gelu(Cuda&, const LinearShape&, const CublasMatmul&, bool, const float*, const float*,
                            const float*, float*, float*, float*);
template void run_data_gelu(Cuda&, const LinearShape&, const CublasMatmul&, bool, const bf16*, const bf16*, const bf16*,
                            bf16*, float*, float*);

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
