// What cuBLASLt's descriptors and algorithms hold in the emulator, and which problems it takes: the rules are
// NVIDIA's, from the documentation of cublasLtMatmul() and cublasLtMatmulDescAttributes_t and from
// cublasLt.h. Only cublaslt.cpp includes it.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace gpumonth::emulator {

inline bool mode_is(std::string_view mode) {
  const char* given = std::getenv("GPUMONTH_EMULATED_CUBLASLT");
  return given && mode == given;
}

struct Operation {
  std::int32_t compute = 0, scale = 0, pointer_mode = CUBLASLT_POINTER_MODE_HOST;
  std::int32_t transa = CUBLAS_OP_N, transb = CUBLAS_OP_N, transc = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::int32_t bias_type = -1, aux_type = -1;
  void *bias = nullptr, *aux = nullptr;
  std::int64_t aux_ld = 0;
};

struct Layout {
  std::int32_t type = 0;
  std::uint64_t rows = 0, columns = 0;
  std::int64_t ld = 0;
  bool operator==(const Layout&) const = default;
};

enum Operand { kA, kB, kC, kD, kBias, kAux, kOperands };

struct Preference {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t reduction_mask = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::uint32_t alignment[kD + 1] = {256, 256, 256, 256};
};

/// What a cublasLtMatmulAlgo_t holds.
struct Algorithm {
  std::int32_t id = 0;
  std::uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
  std::uint64_t problem = 0;          ///< what it was made for: see hash_of()
  std::uint64_t workspace_bytes = 0;  ///< it needs
  std::uint16_t alignment[kOperands] = {1, 1, 1, 1, 1, 1};
  std::uint32_t mark = kMark;
  static constexpr std::uint32_t kMark = 0x9a11b1a5;
  std::int32_t parts() const { return 1 << id; }  ///< of k, summed one by one
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));
constexpr std::int32_t kAlgorithms = 3;

inline std::int64_t bytes_of(std::int32_t type) { return type == CUDA_R_16BF ? 2 : 4; }
inline bool transposed(std::int32_t op) { return op != CUBLAS_OP_N; }

/// A problem as the library sees it: without pointers' values and without alpha and beta.
struct Problem {
  Operation operation;
  Layout a, b, c, d;
  std::uint64_t k = 0;

  bool has_bias() const {
    switch (operation.epilogue) {
      case CUBLASLT_EPILOGUE_BIAS:
      case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
      case CUBLASLT_EPILOGUE_DGELU_BGRAD:
      case CUBLASLT_EPILOGUE_BGRADA:
      case CUBLASLT_EPILOGUE_BGRADB: return true;
      default: return false;
    }
  }
  bool tf32() const { return operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32; }
  bool has_aux() const { return (operation.epilogue & 128u) != 0; }
  std::int32_t bias_type() const { return operation.bias_type < 0 ? d.type : operation.bias_type; }
  std::int32_t aux_type() const { return operation.aux_type < 0 ? d.type : operation.aux_type; }
  std::int64_t element_bytes(int operand) const {
    const std::int32_t types[kOperands] = {a.type, b.type, c.type, d.type, bias_type(), aux_type()};
    return bytes_of(types[operand]);
  }
};

inline std::uint64_t hash_of(const Problem& p) {  // FNV-1a
  std::uint64_t hash = 1469598103934665603u;
  const auto add = [&hash](auto value) { hash = (hash ^ static_cast<std::uint64_t>(value)) * 1099511628211u; };
  for (const Layout& l : {p.a, p.b, p.c, p.d}) add(l.type), add(l.rows), add(l.columns), add(l.ld);
  add(p.operation.compute), add(p.operation.transa), add(p.operation.transb), add(p.operation.epilogue),
      add(p.bias_type()), add(p.aux_type());
  add(p.operation.aux_ld);
  return hash;
}

/// The table of cublasLtMatmul: compute type and scale fp32, and TF32 of fp32 operands.
inline bool types_are_supported(const Problem& p) {
  const Operation& o = p.operation;
  const bool tf32 = o.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && p.a.type == CUDA_R_32F;
  if ((o.compute != CUBLAS_COMPUTE_32F && !tf32) || o.scale != CUDA_R_32F) return false;
  if (p.a.type != p.b.type || p.c.type != p.d.type) return false;
  if (p.a.type == CUDA_R_32F) return p.d.type == CUDA_R_32F;
  return p.a.type == CUDA_R_16BF && (p.d.type == CUDA_R_16BF || p.d.type == CUDA_R_32F);
}

inline cublasStatus_t check_epilogue(const Problem& p) {
  const Operation& o = p.operation;
  if (o.epilogue == CUBLASLT_EPILOGUE_DEFAULT) return CUBLAS_STATUS_SUCCESS;
  if (mode_is("no-epilogues")) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (!p.has_bias() && o.epilogue != CUBLASLT_EPILOGUE_DGELU) return CUBLAS_STATUS_NOT_SUPPORTED;  // not emulated
  // "Bias gradient vector elements are the same type as the output elements"
  if (p.has_bias() && p.bias_type() != p.d.type) return CUBLAS_STATUS_INVALID_VALUE;
  if (!p.has_aux()) return CUBLAS_STATUS_SUCCESS;
  // "Must be divisible by 8 and be no less than the number of rows in the output matrix."
  if (p.aux_type() != p.d.type || o.aux_ld % 8 != 0 || o.aux_ld < static_cast<std::int64_t>(p.d.rows))
    return CUBLAS_STATUS_INVALID_VALUE;
  return CUBLAS_STATUS_SUCCESS;
}

/// INVALID_VALUE or NOT_SUPPORTED as cublasLtMatmul() says. Sets `p.k`.
inline cublasStatus_t check(Problem& p) {
  if (!types_are_supported(p)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const Operation& o = p.operation;
  if (o.transc != CUBLAS_OP_N || o.pointer_mode != CUBLASLT_POINTER_MODE_HOST) return CUBLAS_STATUS_NOT_SUPPORTED;
  p.k = transposed(o.transa) ? p.a.rows : p.a.columns;
  const std::uint64_t m = transposed(o.transa) ? p.a.columns : p.a.rows;
  const std::uint64_t n = transposed(o.transb) ? p.b.rows : p.b.columns;
  const std::uint64_t k_of_b = transposed(o.transb) ? p.b.columns : p.b.rows;
  if (p.k != k_of_b || p.d.rows != m || p.d.columns != n || p.c.rows != m || p.c.columns != n || p.k * m * n == 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  for (const Layout& l : {p.a, p.b, p.c, p.d})
    if (l.ld < static_cast<std::int64_t>(l.rows)) return CUBLAS_STATUS_INVALID_VALUE;
  return check_epilogue(p);
}

/// Of a pointer that a routine reads the alignment of. Null: "default: NULL" says nothing, so the best.
inline std::uint32_t alignment_of(const void* pointer) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  std::uint32_t alignment = 1;
  while (alignment < 16 && address % (2 * alignment) == 0) alignment *= 2;
  return alignment;
}

/// Algorithm `id` for the problem; false where it needs more than it is given.
inline bool configure(const Problem& p, const Preference& preference, std::int32_t id, Algorithm& algorithm) {
  algorithm.id = id;
  algorithm.problem = hash_of(p);
  if (p.k < static_cast<std::uint64_t>(algorithm.parts())) return false;
  if (id == 1) {  // partial sums lie in the workspace
    algorithm.reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    algorithm.workspace_bytes = sizeof(float) * p.d.rows * p.d.columns;
  } else if (id == 2) {  // in D, before an epilogue could see all of the sum
    algorithm.reduction = CUBLASLT_REDUCTION_SCHEME_INPLACE;
    if (p.d.type != CUDA_R_32F || p.operation.epilogue != CUBLASLT_EPILOGUE_DEFAULT) return false;
  }
  if ((algorithm.reduction & preference.reduction_mask) != algorithm.reduction) return false;
  if (algorithm.workspace_bytes > preference.workspace_bytes) return false;
  for (int i = 0; i < kOperands; ++i) {
    std::uint32_t alignment =
        i <= kD ? preference.alignment[i] : alignment_of(i == kBias ? p.operation.bias : p.operation.aux);
    if ((i == kBias && !p.has_bias()) || (i == kAux && !p.has_aux())) alignment = 16;
    if (static_cast<std::int64_t>(alignment) < p.element_bytes(i)) return false;  // no algorithm splits an element
    algorithm.alignment[i] = static_cast<std::uint16_t>(alignment);
  }
  return true;
}

}  // namespace gpumonth::emulator
