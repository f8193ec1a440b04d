#include "trainer/gemm_peak.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "trainer/ops/buffer.h"
#include "trainer/ops/cpu/onednn.h"

namespace gpumonth::trainer {
namespace {

constexpr double kSecondsPerShape = 0.15;

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double rate(ops::Cpu& cpu, model::Dtype dtype, std::int64_t m, std::int64_t n, std::int64_t k) {
  ops::Matmul product({.m = m,
                       .n = n,
                       .k = k,
                       .in = dtype,
                       .out = dtype,
                       .a = {0, k, 1},
                       .b = {0, n, 1},
                       .c = {0, n, 1},
                       .packed_b = true},
                      cpu.threads);
  ops::Buffer<ops::Cpu, float> a(cpu, m * k), b(cpu, k * n), c(cpu, m * n);
  ops::Buffer<ops::Cpu, std::byte> packed(cpu, static_cast<std::int64_t>(product.packed_b_bytes()));
  std::fill_n(b.get(), b.size(), 0.5f);  // zeros could be faster than numbers
  product.pack(b.get(), packed.get());
  product.run(a.get(), packed.get(), c.get());
  double best_s = 1e30;
  for (const double end = now_s() + kSecondsPerShape; now_s() < end;) {
    const double begin = now_s();
    product.run(a.get(), packed.get(), c.get());
    best_s = std::min(best_s, now_s() - begin);
  }
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) / best_s;
}

}  // namespace

GemmPeak measure_gemm_peak(const std::string& dtype, int threads) {
  ops::Cpu cpu{threads};
  const model::Dtype type = model::dtype_named(dtype);
  GemmPeak best;
  constexpr std::int64_t kShapes[][3] = {
      {2048, 1536, 384}, {2048, 384, 1536}, {2048, 3072, 768}, {2048, 768, 3072}, {2048, 2304, 768}};
  for (const auto& [m, n, k] : kShapes) {
    const double flops_per_s = rate(cpu, type, m, n, k);
    if (flops_per_s > best.flops_per_s) best = {flops_per_s, fmt::format("{}x{}x{}", m, n, k)};
  }
  return best;
}

}  // namespace gpumonth::trainer
