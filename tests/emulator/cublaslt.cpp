// cuBLASLt on the CPU, as far as gpumonth calls it: column-major products of fp32 or bf16 matrices with fp32
// sums, and the epilogues of linear layers. Refuses what NVIDIA's cuBLAS documentation and cublasLt.h exclude
// or do not promise; what it accepts, a real GPU may still refuse. Operands, layouts, alpha and beta are read
// in the call, memory on the GPU later.
//
// GPUMONTH_EMULATED_CUBLASLT, read in each call:
//   no-epilogues         refuses every epilogue but the default one, so that what replaces them is run
#include <cublasLt.h>

#include <algorithm>
#include <cstring>

#include "tests/emulator/cublaslt_problem.h"
#include "tests/emulator/cublaslt_product.h"
#include "tests/emulator/emulator.h"

using namespace gpumonth::emulator;

namespace {

Operation& of(cublasLtMatmulDesc_t d) { return *reinterpret_cast<Operation*>(d); }
Layout& of(cublasLtMatrixLayout_t d) { return *reinterpret_cast<Layout*>(d); }
Preference& of(cublasLtMatmulPreference_t d) { return *reinterpret_cast<Preference*>(d); }
Algorithm of(const cublasLtMatmulAlgo_t& opaque) {
  Algorithm algorithm;
  std::memcpy(static_cast<void*>(&algorithm), &opaque, sizeof algorithm);
  return algorithm;
}

template <class T>
cublasStatus_t assign(T& to, const void* from, std::size_t bytes) {
  if (!from || bytes != sizeof to) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&to, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t make_problem(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                            cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, Problem& p) {
  if (!handle) return CUBLAS_STATUS_NOT_INITIALIZED;
  if (!operation || !a || !b || !d) return CUBLAS_STATUS_INVALID_VALUE;
  p = {of(operation), of(a), of(b), of(c ? c : d), of(d)};  // "If Cdesc is omitted, ... equal to Ddesc"
  return check(p);
}

}  // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (!handle) return CUBLAS_STATUS_INVALID_VALUE;
  *handle = reinterpret_cast<cublasLtHandle_t>(new int);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete reinterpret_cast<int*>(handle);
  return handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}
std::size_t cublasLtGetVersion() { return CUBLAS_VERSION; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "success";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "the library was not initialized";
    case CUBLAS_STATUS_INVALID_VALUE: return "an unsupported value or parameter was passed to the function";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "the functionality requested is not supported";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "the GPU program failed to execute";
    default: return "unknown status";
  }
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* made, cublasComputeType_t compute, cudaDataType_t scale) {
  if (!made) return CUBLAS_STATUS_INVALID_VALUE;
  *made = reinterpret_cast<cublasLtMatmulDesc_t>(new Operation{.compute = compute, .scale = scale});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d) {
  delete &of(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  if (!d) return CUBLAS_STATUS_INVALID_VALUE;
  Operation& o = of(d);
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE: return assign(o.compute, value, bytes);
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE: return assign(o.scale, value, bytes);
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: return assign(o.pointer_mode, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA: return assign(o.transa, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return assign(o.transb, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSC: return assign(o.transc, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return assign(o.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return assign(o.bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return assign(o.bias_type, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return assign(o.aux, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return assign(o.aux_ld, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return assign(o.aux_type, value, bytes);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;  // not emulated
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* made, cudaDataType type, std::uint64_t rows,
                                          std::uint64_t columns, std::int64_t ld) {
  if (!made) return CUBLAS_STATUS_INVALID_VALUE;
  *made = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, ld});
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t d) {
  delete &of(d);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* made) {
  if (!made) return CUBLAS_STATUS_INVALID_VALUE;
  *made = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t d) {
  delete &of(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t d,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t bytes) {
  if (!d) return CUBLAS_STATUS_INVALID_VALUE;
  Preference& p = of(d);
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return assign(p.workspace_bytes, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return assign(p.reduction_mask, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return assign(p.alignment[kA], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return assign(p.alignment[kB], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return assign(p.alignment[kC], value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return assign(p.alignment[kD], value, bytes);
    default: return CUBLAS_STATUS_NOT_SUPPORTED;  // not emulated
  }
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* returned) {
  Problem p;
  if (requested <= 0 || !preference || !results || !returned) return CUBLAS_STATUS_INVALID_VALUE;
  *returned = 0;
  if (const cublasStatus_t status = make_problem(handle, operation, a, b, c, d, p)) return status;
  for (std::int32_t id = 0; id < kAlgorithms && *returned < requested; ++id) {
    Algorithm algorithm;
    if (!configure(p, of(preference), id, algorithm)) continue;
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
    result = {};
    std::memcpy(&result.algo, &algorithm, sizeof algorithm);
    result.workspaceSize = algorithm.workspace_bytes;
    result.wavesCount = 1;
  }
  return *returned > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* opaque,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void* value,
                                                    std::size_t bytes, std::size_t* written) {
  if (!opaque || of(*opaque).mark != Algorithm::kMark || !value || bytes != 4) return CUBLAS_STATUS_INVALID_VALUE;
  const Algorithm algorithm = of(*opaque);
  std::uint32_t found = 0;  // tile, stages: undefined
  switch (attribute) {
    case CUBLASLT_ALGO_CONFIG_ID: found = static_cast<std::uint32_t>(algorithm.id); break;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM: found = static_cast<std::uint32_t>(algorithm.parts()); break;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME: found = algorithm.reduction; break;
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
    case CUBLASLT_ALGO_CONFIG_STAGES_ID: break;
    default: return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::memcpy(value, &found, bytes);
  if (written) *written = bytes;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* opaque, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  Problem p;
  if (const cublasStatus_t status = make_problem(handle, operation, a_layout, b_layout, c_layout, d_layout, p))
    return status;
  if (!alpha || !beta || !a || !b || !d) return CUBLAS_STATUS_INVALID_VALUE;
  float scale_ab = 0, scale_c = 0;
  std::memcpy(&scale_ab, alpha, sizeof scale_ab);
  std::memcpy(&scale_c, beta, sizeof scale_c);
  if (scale_c != 0 && !c) return CUBLAS_STATUS_INVALID_VALUE;
  if (c == d && p.c != p.d) return CUBLAS_STATUS_INVALID_VALUE;  // "in-place ... (C == D and Cdesc == Ddesc)"
  Algorithm algorithm;
  if (opaque) {
    algorithm = of(*opaque);
    if (algorithm.mark != Algorithm::kMark || algorithm.problem != hash_of(p)) return CUBLAS_STATUS_INVALID_VALUE;
  }
  const void* const pointers[kOperands] = {
      a, b, c, d, p.has_bias() ? p.operation.bias : d, p.has_aux() ? p.operation.aux : d};
  for (int i = 0; i < kOperands; ++i) {
    if (!pointers[i] && i != kC) return CUBLAS_STATUS_INVALID_VALUE;
    const std::int64_t needed = std::max<std::int64_t>(algorithm.alignment[i], p.element_bytes(i));
    const bool used = i < kBias || (i == kBias ? p.has_bias() : p.has_aux());
    if (used && reinterpret_cast<std::uintptr_t>(pointers[i]) % static_cast<std::uintptr_t>(needed) != 0)
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  // "Must be 256B aligned"
  if (algorithm.workspace_bytes > workspace_bytes || (algorithm.workspace_bytes > 0 && !workspace) ||
      reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
  if (cudaStreamIsCapturing(stream, &capture) != cudaSuccess || capture == cudaStreamCaptureStatusInvalidated)
    return CUBLAS_STATUS_EXECUTION_FAILED;

  const auto matrix = [](const void* data, const Layout& l, std::int32_t op = CUBLAS_OP_N) {
    return Matrix{const_cast<void*>(data),
                  l.type == CUDA_R_16BF,
                  transposed(op),
                  static_cast<std::int64_t>(l.rows),
                  static_cast<std::int64_t>(l.columns),
                  l.ld};
  };
  Product product{.a = matrix(a, p.a, p.operation.transa),
                  .b = matrix(b, p.b, p.operation.transb),
                  .c = matrix(c, p.c),
                  .d = matrix(d, p.d),
                  .tf32 = p.tf32(),
                  .alpha = scale_ab,
                  .beta = scale_c,
                  .epilogue = p.operation.epilogue,
                  .parts = algorithm.parts()};
  if (p.has_bias()) product.bias = {p.operation.bias, p.bias_type() == CUDA_R_16BF, false, 1, 1, 1};
  if (p.has_aux()) {
    product.aux = product.d;
    product.aux.data = p.operation.aux;
    product.aux.ld = p.operation.aux_ld;
  }
  if (algorithm.workspace_bytes > 0) product.workspace = static_cast<float*>(workspace);
  enqueue(stream, [product] { run(product); });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
