#include "trainer/ops/cuda/reduce_columns.h"
#include "trainer/ops/linear.h"

namespace gpumonth::ops {
namespace {

template <class T>
void sum(Cuda& cuda, std::int64_t rows, std::int64_t columns, std::int64_t stride, const T* dy, float* dbias,
         float* scratch) {
  constexpr int N = kVector<T>;
  const MatrixRows<T> matrix{dy, stride};
  if (columns % N == 0 && stride % N == 0 && aligned<N>(dy)) {
    column_sums<N>(cuda, rows, columns, matrix, dbias, scratch);
  } else {
    column_sums<1>(cuda, rows, columns, matrix, dbias, scratch);
  }
}

}  // namespace

template <>
void column_sum(Cuda& cuda, std::int64_t rows, std::int64_t columns, std::int64_t stride, const float* dy, float* dbias,
                float* scratch) {
  sum(cuda, rows, columns, stride, dy, dbias, scratch);
}
template <>
void column_sum(Cuda& cuda, std::int64_t rows, std::int64_t columns, std::int64_t stride, const bf16* dy, float* dbias,
                float* scratch) {
  sum(cuda, rows, columns, stride, dy, dbias, scratch);
}

}  // namespace gpumonth::ops
