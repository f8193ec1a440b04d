// The one wrapper around oneDNN: matrix products of fixed shape, made once and run many times without
// allocating. Hides the API difference between oneDNN 2.6 (Debian 12) and 3.x (Ubuntu 24.04).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "trainer/ops/bf16.h"

namespace gpumonth::ops {

/// Element strides of a (batch, rows, columns) operand.
struct Strides {
  std::int64_t batch = 0, row = 0, column = 1;
};

/// C(m,n) = alpha * A(m,k) B(k,n) [+ bias(n)] [+ C], fp32 accumulation, for each of `batch` products.
struct MatmulShape {
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  Dtype in = Dtype::fp32, out = Dtype::fp32;
  Strides a = {}, b = {}, c = {};
  bool packed_b = false;           ///< B in oneDNN's own layout, filled by pack()
  Dtype unpacked_b = Dtype::fp32;  ///< what pack() is given
  bool bias = false;               ///< fp32 (n)
  bool accumulate = false;         ///< add to what C holds
  float alpha = 1.0f;
};

/// Not thread-safe: one object per thread that runs it. `threads` OpenMP threads share one product; 1 inside a
/// parallel region.
class Matmul {
 public:
  Matmul(const MatmulShape& shape, int threads);
  ~Matmul();
  Matmul(Matmul&&) noexcept;
  Matmul& operator=(Matmul&&) noexcept;

  void run(const void* a, const void* b, void* c, const float* bias = nullptr);
  std::size_t packed_b_bytes() const;
  /// Converts and reorders B, given in shape.unpacked_b (fp32 unless set) with strides shape.b, into `packed`
  /// (packed_b_bytes()).
  void pack(const void* b, void* packed);
  std::string implementation() const;  ///< oneDNN's name of the kernel, "brg:avx512_core_bf16"

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// C (m, n) = A (m, k) B (k, n) in fp32 on the calling thread, by oneDNN's sgemm, which packs both operands as it goes.
/// Elements between rows: a_row, b_row, c_row. Where a thread has some hundred rows it is 5 to 15 % faster than a Matmul
/// that reads B as it lies (oneDNN 2.6.3, Xeon with AVX-512).
void multiply_fp32(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t a_row, const float* b,
                   std::int64_t b_row, float* c, std::int64_t c_row);

/// Whether oneDNN has bf16 kernels with hardware instructions on this machine (AVX512-BF16, AMX).
bool has_bf16_hardware();
std::string onednn_version();  ///< "2.6.3"
std::string onednn_isa();      ///< "avx512_core_bf16"

}  // namespace gpumonth::ops
