#include "trainer/ops/convert.h"
#include "trainer/ops/cuda/vectorized.h"

namespace gpumonth::ops {
namespace {

struct Convert {
  const float* from;
  bf16* to;
  template <int N>
  __device__ void operator()(std::int64_t i) const {
    float values[N];
    read(from + i, values);
    write(to + i, values);
  }
};

}  // namespace

void convert(Cuda& cuda, std::int64_t n, const float* from, float* to) {
  if (n <= 0) return;
  GPUMONTH_CUDA(cudaMemcpyAsync, to, from, static_cast<std::size_t>(n) * sizeof(float), cudaMemcpyDeviceToDevice,
                stream_of(cuda));
}

void convert(Cuda& cuda, std::int64_t n, const float* from, bf16* to) {
  elementwise<4>(cuda, n, aligned<4>(from, to), Convert{from, to});
}

}  // namespace gpumonth::ops
