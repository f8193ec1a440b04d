// For tests that need a GPU: on a machine without one the program ends with 77, which CTest reports as skipped.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "tests/trainer/ops/device_memory.h"
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

/// Whether the long form of a test was asked for: its every shape instead of one of each kind.
inline bool every_shape() { return std::getenv("GPUMONTH_EVERY_SHAPE") != nullptr; }

template <class T>
ops::Buffer<ops::Cuda, T> on_gpu(const std::vector<T>& values) {
  return on_device(gpu(), values);
}

template <class T>
std::vector<T> on_host(const ops::Buffer<ops::Cuda, T>& buffer) {
  return from_device(gpu(), buffer);
}

}  // namespace gpumonth::tests
