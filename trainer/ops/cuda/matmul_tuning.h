// How a cuBLASLt product gets its algorithm: suggestions of the library, tried and timed on scratch memory,
// the choice kept for the process. Only matmul.cu, linear_products.cu and attention_choice.cpp include this.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/ops/cuda/matmul.h"

namespace gpumonth::ops {

struct DestroyCublasLt {
  void operator()(cublasLtMatmulDesc_t d) const { cublasLtMatmulDescDestroy(d); }
  void operator()(cublasLtMatrixLayout_t d) const { cublasLtMatrixLayoutDestroy(d); }
  void operator()(cublasLtMatmulPreference_t d) const { cublasLtMatmulPreferenceDestroy(d); }
};

/// cuBLASLt's type is an unnamed struct, at which nvcc 13.0 gives up in containers.
struct MatmulAlgorithm {
  cublasLtMatmulAlgo_t opaque;
};
constexpr int kMostSuggestions = 16;

/// cuBLASLt is column-major: its product is our transpose, C^T = B^T A^T. So its A is our B, its B our A, its
/// rows of D our columns of C, and the memory is the same.
class MatmulDescriptors {
 public:
  explicit MatmulDescriptors(const CublasMatmulShape& dense);  ///< strides set; throws CudaError
  void set_epilogue_pointers(const void* vector, const void* aux) const;
  cublasStatus_t launch(const Cuda& device, const MatmulAlgorithm& algorithm, const void* a, const void* b,
                        void* c) const;
  /// The library's suggestions, best first, kMostSuggestions at most, for operands each aligned to
  /// `alignment_bytes` or its own elements, what is more; empty where it has none.
  std::vector<MatmulAlgorithm> suggestions(const Cuda& device, std::int64_t alignment_bytes) const;

 private:
  std::unique_ptr<cublasLtMatmulDescOpaque_t, DestroyCublasLt> operation_;
  std::unique_ptr<cublasLtMatrixLayoutOpaque_t, DestroyCublasLt> first_, second_;  // our B, our A
  std::unique_ptr<cublasLtMatrixLayoutOpaque_t, DestroyCublasLt> result_;          // our C
  Epilogue epilogue_;
  Dtype in_, out_;
};

CublasMatmulShape with_strides(CublasMatmulShape shape);  ///< 0 replaced by the stored row length

struct TunedMatmul {
  bool found = false;                            ///< false: the library refuses it
  MatmulAlgorithm algorithm{};                   ///< for operands aligned as the shape says
  std::optional<MatmulAlgorithm> any_alignment;  ///< for others
  double microseconds = std::numeric_limits<double>::quiet_NaN();
};

/// The process's choice for this shape and device, made at the first call. `shape` has its strides set.
TunedMatmul tune(Cuda& device, const CublasMatmulShape& shape, const MatmulDescriptors& descriptors,
                 AlgorithmChoice choice);

struct Decision {
  bool yes = false;
  std::string reason;  ///< for the report
};
/// `decide()`'s answer, asked once in a process for this device and `key`.
bool decided_once(const Cuda& device, const std::string& key, const std::function<Decision()>& decide);

}  // namespace gpumonth::ops
