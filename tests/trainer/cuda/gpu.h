// For tests that need a GPU: on a machine without one the program ends with 77, which CTest reports as skipped.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "trainer/ops/buffer.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::tests {

/// The first GPU, deterministic and without graphs.
inline ops::Cuda& gpu() {
  static ops::Cuda device = [] {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) {
      std::puts("skipped: no GPU here");
      std::fflush(stdout);
      std::_Exit(77);
    }
    auto context = std::make_shared<ops::CudaContext>(0, true);
    context->use_graphs = false;
    return ops::Cuda{context};
  }();
  return device;
}

template <class T>
ops::Buffer<ops::Cuda, T> on_gpu(const std::vector<T>& values) {
  ops::Buffer<ops::Cuda, T> buffer(gpu(), static_cast<std::int64_t>(values.size()));
  ops::copy_to_device(gpu(), buffer.get(), values.data(), buffer.bytes());
  return buffer;
}

template <class T>
std::vector<T> on_host(const ops::Buffer<ops::Cuda, T>& buffer) {
  std::vector<T> values(static_cast<std::size_t>(buffer.size()));
  ops::copy_to_host(gpu(), values.data(), buffer.get(), buffer.bytes());
  return values;
}

}  // namespace gpumonth::tests
