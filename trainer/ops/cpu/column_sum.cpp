#include "trainer/ops/column_sum.h"

#include "trainer/ops/bf16.h"
#include "trainer/ops/cpu/chunked_sum.h"

namespace gpumonth::ops {

std::int64_t column_sum_scratch(std::int64_t rows, std::int64_t columns) { return row_chunks(rows) * columns; }

template <class T>
void column_sum(Cpu& cpu, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy, float* dbias,
                float* scratch) {
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

template void column_sum(Cpu&, std::int64_t, std::int64_t, std::int64_t, const float*, float*, float*);
template void column_sum(Cpu&, std::int64_t, std::int64_t, std::int64_t, const bf16*, float*, float*);

}  // namespace gpumonth::ops
