#include "trainer/ops/column_sum.h"
#include "trainer/ops/cuda/reduce_columns.h"

namespace gpumonth::ops {

template <class T>
void column_sum(Cuda& cuda, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy, float* dbias,
                float* scratch) {
  constexpr int N = kVector<T>;
  const MatrixRows<T> matrix{dy, stride};
  if (columns % N == 0 && stride % N == 0 && aligned<N>(dy)) {
    column_sums<N>(cuda, rows, columns, matrix, dbias, scratch);
  } else {
    column_sums<1>(cuda, rows, columns, matrix, dbias, scratch);
  }
}

template void column_sum(Cuda&, std::int64_t, std::int64_t, std::int64_t, const float*, float*, float*);
template void column_sum(Cuda&, std::int64_t, std::int64_t, std::int64_t, const bf16*, float*, float*);

}  // namespace gpumonth::ops
