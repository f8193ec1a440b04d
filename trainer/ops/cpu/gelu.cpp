#include "trainer/ops/gelu.h"

#include "trainer/ops/cpu/chunked_sum.h"
#include "trainer/ops/cpu/convert.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

/// One row of du in place of dy, added to the column sums.
template <class T>
void backward_row(std::int64_t columns, const T* u, T* dy, float* sums) {
  alignas(64) float u_block[kFloatBlock], dy_block[kFloatBlock];
  for (std::int64_t at = 0; at < columns; at += kFloatBlock) {
    const std::int64_t count = std::min(kFloatBlock, columns - at);
    const float* in = read_row(count, u + at, u_block);
    const float* d = read_row(count, dy + at, dy_block);
    float* out = row_target(dy + at, dy_block);
    float* sum = sums + at;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const float du = d[i] * gelu_tanh_derivative(in[i]);
      out[i] = du;
      sum[i] += du;
    }
    write_row(count, out, dy + at);
  }
}

}  // namespace

template <class T>
void gelu_forward(Cpu& cpu, std::int64_t n, const T* u, T* y) {
  parallel_for(cpu, n, kFloatBlock, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) float u_block[kFloatBlock], y_block[kFloatBlock];
    for (std::int64_t at = begin; at < end; at += kFloatBlock) {
      const std::int64_t count = std::min(kFloatBlock, end - at);
      const float* in = read_row(count, u + at, u_block);
      float* out = row_target(y + at, y_block);
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) out[i] = gelu_tanh(in[i]);
      write_row(count, out, y + at);
    }
  });
}

template <class T>
void gelu_backward(Cpu& cpu, std::int64_t rows, std::int64_t columns, const T* u, T* dy, float* dbias, float* scratch) {
  parallel_for(cpu, row_chunks(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      float* partial = scratch + chunk * columns;
      std::fill_n(partial, columns, 0.0f);
      for (std::int64_t r = chunk * kRowChunk; r < std::min(rows, (chunk + 1) * kRowChunk); ++r)
        backward_row(columns, u + r * columns, dy + r * columns, partial);
    }
  });
  add_partials(cpu, row_chunks(rows), columns, columns, scratch, dbias);
}

template void gelu_forward(Cpu&, std::int64_t, const float*, float*);
template void gelu_forward(Cpu&, std::int64_t, const bf16*, bf16*);
template void gelu_backward(Cpu&, std::int64_t, std::int64_t, const float*, float*, float*, float*);
template void gelu_backward(Cpu&, std::int64_t, std::int64_t, const bf16*, bf16*, float*, float*);

}  // namespace gpumonth::ops
