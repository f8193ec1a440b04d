// Matrix products of fixed shape by cuBLASLt, each with what its kernel does besides the product. Made once,
// which chooses and times the algorithm, then run many times without allocating or waiting.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// `vector` and `aux` are run()'s arguments. GELU is the tanh form.
enum class Epilogue {
  none,
  bias,           ///< C += vector (n), of C's type
  gelu_aux_bias,  ///< aux (m, n) = A B + vector (n), C = gelu(aux); aux and vector of C's type, n % 8 == 0
  dgelu,          ///< C = gelu'(aux) * (A B); aux (m, n) of C's type, n % 8 == 0
  dgelu_bgrad,    ///< that, and vector (n) of C's type = the column sums of C
  bgrad_a,        ///< C = A B, and vector (m) fp32 = the row sums of A
};

/// C (m, n) = A (m, k) B (k, n), all row-major, fp32 accumulation.
struct CublasMatmulShape {
  std::int64_t m = 0, n = 0, k = 0;
  Dtype in = Dtype::bf16, out = Dtype::bf16;  ///< of A and B, of C
  bool tf32 = false;  ///< fp32 operands go to the tensor cores with 10 bits of their mantissas; false: with all 23
  bool a_transposed = false;  ///< A is stored (k, m)
  bool b_transposed = false;  ///< B is stored (n, k)
  /// Elements between stored rows; 0: they lie close.
  std::int64_t a_stride = 0, b_stride = 0, c_stride = 0;
  Epilogue epilogue = Epilogue::none;
  /// Of every pointer, in bytes. Less aligned ones are taken too, by a slower algorithm.
  std::int64_t alignment_bytes = 16;
};

/// "8192x4608x1152 bf16 -> bf16, A B^T, gelu_aux_bias"; "tf32" for fp32 where so multiplied
std::string describe(const CublasMatmulShape& shape);

enum class AlgorithmChoice {
  by_context,  ///< first where the context is deterministic, else fastest
  first,       ///< the library's first suggestion that runs: the same in every process, so the same bits
  fastest,     ///< the fastest of its suggestions, timed here. Ranks and runs may differ in their last bits.
};

/// Not thread-safe: one object per thread that runs it. Equal shapes share one choice, made once in a process.
class CublasMatmul {
 public:
  /// Nothing where cuBLASLt refuses the shape with this epilogue.
  static std::optional<CublasMatmul> make(Cuda& device, const CublasMatmulShape& shape,
                                          AlgorithmChoice choice = AlgorithmChoice::by_context);
  /// Throws CudaError where cuBLASLt refuses it.
  CublasMatmul(Cuda& device, const CublasMatmulShape& shape, AlgorithmChoice choice = AlgorithmChoice::by_context);
  ~CublasMatmul();
  CublasMatmul(CublasMatmul&&) noexcept;
  CublasMatmul& operator=(CublasMatmul&&) noexcept;

  /// Enqueues. `vector` and `aux` as the epilogue says, null where it has none.
  void run(const void* a, const void* b, void* c, void* vector = nullptr, void* aux = nullptr) const;
  /// As timed when the algorithm was chosen; NaN where memory was too short to time.
  double microseconds() const;

 private:
  struct Plan;
  explicit CublasMatmul(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

/// One line per distinct product of this process: shape, epilogue, algorithm, microseconds, TFLOP/s; one per
/// refused epilogue, and one per choice between a fused product and separate ops. Sorted.
std::vector<std::string> matmul_tuning_report();

/// What the fastest algorithm reaches for C (m, n) = A (m, k) B^T, B (n, k), all in `dtype`, no epilogue: 2 m
/// n k / s, measured anew in each call. NaN where the GPU's free memory does not hold the operands.
double matmul_flops_per_s(Cuda& device, std::int64_t m, std::int64_t n, std::int64_t k, Dtype dtype);

}  // namespace gpumonth::ops
