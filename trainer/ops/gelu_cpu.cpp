#include "trainer/ops/gelu.h"

#include "trainer/ops/chunked_sum_cpu.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

template <class T>
void forward(Cpu& cpu, std::int64_t n, const T* u, T* y) {
  parallel_for(cpu, n, 4096, [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = from_float<T>(gelu_tanh(to_float(u[i])));
  });
}

template <class T>
void backward(Cpu& cpu, std::int64_t rows, std::int64_t columns, const T* u, T* dy, float* dbias, float* scratch) {
  parallel_for(cpu, row_chunks(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      float* partial = scratch + chunk * columns;
      std::fill_n(partial, columns, 0.0f);
      for (std::int64_t r = chunk * kRowChunk; r < std::min(rows, (chunk + 1) * kRowChunk); ++r) {
        const T* u_row = u + r * columns;
        T* dy_row = dy + r * columns;
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) {
          const float du = to_float(dy_row[c]) * gelu_tanh_derivative(to_float(u_row[c]));
          dy_row[c] = from_float<T>(du);
          partial[c] += du;
        }
      }
    }
  });
  add_partials(cpu, row_chunks(rows), columns, columns, scratch, dbias);
}

}  // namespace

template <>
void gelu_forward(Cpu& cpu, std::int64_t n, const float* u, float* y) {
  forward(cpu, n, u, y);
}
template <>
void gelu_forward(Cpu& cpu, std::int64_t n, const bf16* u, bf16* y) {
  forward(cpu, n, u, y);
}
template <>
void gelu_backward(Cpu& cpu, std::int64_t rows, std::int64_t columns, const float* u, float* dy, float* dbias,
                   float* scratch) {
  backward(cpu, rows, columns, u, dy, dbias, scratch);
}
template <>
void gelu_backward(Cpu& cpu, std::int64_t rows, std::int64_t columns, const bf16* u, bf16* dy, float* dbias,
                   float* scratch) {
  backward(cpu, rows, columns, u, dy, dbias, scratch);
}

}  // namespace gpumonth::ops
