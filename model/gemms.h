// The forward pass as a list of matrix products: what a profiler or FlopCounterMode sees. Their sum is equal
// to the formula of model/flops.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace gpumonth::model {

/// `count` times a batch of `batch` products (m, k) x (k, n).
struct Gemm {
  std::string name;
  std::int64_t m, n, k;
  std::int64_t batch;  ///< products in one call: samples x heads for attention, else 1
  std::int64_t count;  ///< calls per forward pass: depth, or 1
  std::int64_t macs() const { return m * n * k * batch * count; }
};

/// Every matrix product of a forward pass over `samples` samples, in order.
std::vector<Gemm> forward_gemms(const ModelConfig& model, std::int64_t samples = 1);

}  // namespace gpumonth::model
