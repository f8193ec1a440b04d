#include "trainer/ops/linear.h"

#include <optional>

#include "trainer/ops/bf16.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/cpu/chunked_sum.h"
#include "trainer/ops/cpu/transpose.h"
#include "trainer/ops/gelu.h"

namespace gpumonth::ops {

template <>
void column_sum(Cpu&, std::int64_t, std::int64_t, std::int64_t, const float*, float*, float*);
template <>
void column_sum(Cpu&, std::int64_t, std::int64_t, std::int64_t, const bf16*, float*, float*);

template <>
struct Linear<Cpu>::Impl {
  Cpu cpu;
  LinearShape shape;
  Matmul forward;
  std::optional<Matmul> data, weights;  // where they are asked for
  bool weights_from_copies;             // dW from a transposed dy and a packed x
  Buffer<Cpu, bf16> dy_transposed;      // (out, rows)
  Buffer<Cpu, std::byte> x_packed;
  std::size_t forward_bytes, data_bytes;  // of the packed layouts, rounded up to cache lines
};

namespace {

std::size_t round_up(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

MatmulShape forward_shape(const LinearShape& s) {
  return {.m = s.rows,
          .n = s.out,
          .k = s.in,
          .in = s.dtype,
          .out = s.y_dtype,
          .a = {0, s.in, 1},
          .b = {0, 1, s.in},
          .c = {0, s.y_stride, 1},
          .packed_b = s.packed,
          .unpacked_b = s.dtype,
          .bias = true};
}

/// W as it lies, (out, in), is what dx = dy W reads; only bf16 needs a copy.
bool packs_data(const LinearShape& s) { return s.packed && s.dtype != Dtype::fp32; }

MatmulShape data_shape(const LinearShape& s) {
  return {.m = s.rows,
          .n = s.in,
          .k = s.out,
          .in = s.dtype,
          .out = s.dx_dtype,
          .a = {0, s.y_stride, 1},
          .b = {0, s.in, 1},
          .c = {0, s.in, 1},
          .packed_b = packs_data(s),
          .unpacked_b = s.dtype};
}

/// dW = dy^T x runs at about 70 % of the bf16 rate where oneDNN turns dy over itself, at 94 % from copies
/// that suit it. The copies cost rows (in + out), the product rows x in x out: they pay for wide layers only
/// (measured on Zen 5; a fixed rule, because timing both would make runs differ in their last bits).
bool copies_pay(const LinearShape& s) {
  return s.dtype == Dtype::bf16 && s.packed && s.in * s.out >= 450 * (s.in + s.out);
}

MatmulShape weights_shape(const LinearShape& s) {
  MatmulShape m{.m = s.out,
                .n = s.in,
                .k = s.rows,
                .in = s.dtype,
                .out = Dtype::fp32,
                .a = {0, 1, s.y_stride},
                .b = {0, s.in, 1},
                .c = {0, s.in, 1}};
  if (copies_pay(s)) {
    m.a = {0, s.rows, 1};
    m.packed_b = true;
    m.unpacked_b = s.dtype;
  }
  return m;
}

}  // namespace

template <>
Linear<Cpu>::Linear(Cpu& device, const LinearShape& given) {
  LinearShape s = given;
  if (s.y_stride == 0) s.y_stride = s.out;
  impl_.reset(new Impl{device,
                       s,
                       Matmul(forward_shape(s), device.threads),
                       std::nullopt,
                       std::nullopt,
                       s.backward && copies_pay(s),
                       {},
                       {},
                       0,
                       0});
  if (s.backward) impl_->weights.emplace(weights_shape(s), device.threads);
  if (impl_->weights_from_copies) {
    impl_->dy_transposed = Buffer<Cpu, bf16>(device, s.rows * s.out);
    impl_->x_packed = Buffer<Cpu, std::byte>(device, static_cast<std::int64_t>(impl_->weights->packed_b_bytes()));
  }
  if (s.backward && s.needs_dx) impl_->data.emplace(data_shape(s), device.threads);
  if (s.packed) {
    impl_->forward_bytes = round_up(impl_->forward.packed_b_bytes());
    if (impl_->data && packs_data(s)) impl_->data_bytes = round_up(impl_->data->packed_b_bytes());
  }
}
template <>
Linear<Cpu>::~Linear() = default;
template <>
Linear<Cpu>::Linear(Linear&&) noexcept = default;

template <>
std::size_t Linear<Cpu>::packed_bytes() const {
  return impl_->forward_bytes + impl_->data_bytes;
}

template <>
void Linear<Cpu>::pack(const void* w, std::byte* packed) {
  impl_->forward.pack(w, packed);
  if (impl_->data_bytes > 0) impl_->data->pack(w, packed + impl_->forward_bytes);
}

template <>
void Linear<Cpu>::forward(const void* x, const LinearWeights& w, void* y) {
  impl_->forward.run(x, impl_->shape.packed ? static_cast<const void*>(w.packed) : w.master, y, w.bias);
}

template <>
void Linear<Cpu>::forward_gelu(const void* x, const LinearWeights& w, void* u, void* y) {
  const LinearShape& s = impl_->shape;
  forward(x, w, u);
  const std::int64_t n = s.rows * s.out;
  if (s.dtype == Dtype::bf16) {
    gelu_forward(impl_->cpu, n, static_cast<const bf16*>(u), static_cast<bf16*>(y));
  } else {
    gelu_forward(impl_->cpu, n, static_cast<const float*>(u), static_cast<float*>(y));
  }
}

template <>
void Linear<Cpu>::backward_data(const void* dy, const LinearWeights& w, void* dx) {
  const bool packed = impl_->data_bytes > 0;
  impl_->data->run(dy, packed ? static_cast<const void*>(w.packed + impl_->forward_bytes) : w.master, dx);
}

template <>
void Linear<Cpu>::backward_data_gelu(const void* dy, const LinearWeights& w, const void* u, void* du, float* dbias,
                                     float* scratch) {
  const LinearShape& s = impl_->shape;
  backward_data(dy, w, du);
  if (s.dtype == Dtype::bf16) {
    gelu_backward(impl_->cpu, s.rows, s.in, static_cast<const bf16*>(u), static_cast<bf16*>(du), dbias, scratch);
  } else {
    gelu_backward(impl_->cpu, s.rows, s.in, static_cast<const float*>(u), static_cast<float*>(du), dbias, scratch);
  }
}

template <>
void Linear<Cpu>::backward_weights(const void* dy, const void* x, float* dw) {
  if (!impl_->weights_from_copies) {
    impl_->weights->run(dy, x, dw);
    return;
  }
  transpose(impl_->cpu, impl_->shape.rows, impl_->shape.out, static_cast<const bf16*>(dy), impl_->dy_transposed.get());
  impl_->weights->pack(x, impl_->x_packed.get());
  impl_->weights->run(impl_->dy_transposed.get(), impl_->x_packed.get(), dw);
}

template <>
void Linear<Cpu>::backward_weights_bias(const void* dy, const void* x, float* dw, float* dbias, float* scratch) {
  const LinearShape& s = impl_->shape;
  backward_weights(dy, x, dw);
  if (s.dtype == Dtype::bf16) {
    column_sum(impl_->cpu, s.rows, s.out, s.y_stride, static_cast<const bf16*>(dy), dbias, scratch);
  } else {
    column_sum(impl_->cpu, s.rows, s.out, s.y_stride, static_cast<const float*>(dy), dbias, scratch);
  }
}

std::int64_t column_sum_scratch(std::int64_t rows, std::int64_t columns) { return row_chunks(rows) * columns; }

template <class T>
static void column_sum_on_cpu(Cpu& cpu, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy,
                              float* dbias, float* scratch) {
  parallel_for(cpu, row_chunks(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      float* partial = scratch + chunk * columns;
      std::fill_n(partial, columns, 0.0f);
      for (std::int64_t r = chunk * kRowChunk; r < std::min(rows, (chunk + 1) * kRowChunk); ++r) {
        const T* row = dy + r * stride;
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) partial[c] += to_float(row[c]);
      }
    }
  });
  add_partials(cpu, row_chunks(rows), columns, columns, scratch, dbias);
}

template <>
void column_sum(Cpu& cpu, std::int64_t rows, std::int64_t columns, std::int64_t stride, const float* dy, float* dbias,
                float* scratch) {
  column_sum_on_cpu(cpu, rows, columns, stride, dy, dbias, scratch);
}
template <>
void column_sum(Cpu& cpu, std::int64_t rows, std::int64_t columns, std::int64_t stride, const bf16* dy, float* dbias,
                float* scratch) {
  column_sum_on_cpu(cpu, rows, columns, stride, dy, dbias, scratch);
}

}  // namespace gpumonth::ops
