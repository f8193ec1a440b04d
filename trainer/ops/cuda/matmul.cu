#include <algorithm>
#include <initializer_list>
#include <limits>
#include <utility>

#include "trainer/ops/cuda/autotune.h"
#include "trainer/ops/cuda/matmul.h"
#include "trainer/ops/cuda/matmul_tuning.h"

namespace gpumonth::ops {
namespace {

cudaDataType_t cuda_type(Dtype dtype) { return dtype == Dtype::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

std::int64_t bytes_of(Dtype dtype) { return dtype == Dtype::bf16 ? 2 : 4; }

const char* name(Dtype dtype) { return dtype == Dtype::bf16 ? "bf16" : "fp32"; }

const char* name(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none: return "no epilogue";
    case Epilogue::bias: return "bias";
    case Epilogue::gelu_aux_bias: return "gelu_aux_bias";
    case Epilogue::dgelu: return "dgelu";
    case Epilogue::dgelu_bgrad: return "dgelu_bgrad";
    case Epilogue::bgrad_a: return "bgrad_a";
  }
  return "?";
}

cublasLtEpilogue_t cublaslt_epilogue(Epilogue epilogue) {
  switch (epilogue) {
    case Epilogue::none: return CUBLASLT_EPILOGUE_DEFAULT;
    case Epilogue::bias: return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::gelu_aux_bias: return CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case Epilogue::dgelu: return CUBLASLT_EPILOGUE_DGELU;
    case Epilogue::dgelu_bgrad: return CUBLASLT_EPILOGUE_DGELU_BGRAD;
    case Epilogue::bgrad_a: return CUBLASLT_EPILOGUE_BGRADB;  // our A is its B
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

bool has_vector(Epilogue e) { return e != Epilogue::none && e != Epilogue::dgelu; }
bool has_aux(Epilogue e) { return e == Epilogue::gelu_aux_bias || e == Epilogue::dgelu || e == Epilogue::dgelu_bgrad; }

/// D's (the library has no other for these operands; asked for fp32 sums beside a bf16 D, it refused every shape on an
/// H200). bgrad_a's D is fp32.
Dtype vector_type(Epilogue e, Dtype out) { return e == Epilogue::bgrad_a ? Dtype::fp32 : out; }

cublasComputeType_t compute_type(const CublasMatmulShape& s) {
  return s.tf32 && s.in == Dtype::fp32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

std::int64_t stored_row(bool transposed, std::int64_t rows, std::int64_t columns) {
  return transposed ? rows : columns;
}

template <class Value>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, Value value) {
  GPUMONTH_CUBLAS(cublasLtMatmulDescSetAttribute, operation, attribute, &value, sizeof value);
}

template <class Value>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, Value value) {
  GPUMONTH_CUBLAS(cublasLtMatmulPreferenceSetAttribute, preference, attribute, &value, sizeof value);
}

cublasLtMatrixLayout_t layout(Dtype dtype, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  cublasLtMatrixLayout_t made = nullptr;
  GPUMONTH_CUBLAS(cublasLtMatrixLayoutCreate, &made, cuda_type(dtype), static_cast<std::uint64_t>(rows),
                  static_cast<std::uint64_t>(columns), stride);
  return made;
}

/// Partial sums in bf16 would lose what fp32 accumulation is for, so OUTPUT_TYPE is never allowed, and
/// INPLACE, which adds up in the output's type in the order of the blocks, for fp32 alone.
std::uint32_t reduction_schemes(bool deterministic, Dtype out) {
  const bool in_place = !deterministic && out == Dtype::fp32;
  return CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | (in_place ? CUBLASLT_REDUCTION_SCHEME_INPLACE : 0);
}

bool aligned(const void* pointer, std::int64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % static_cast<std::uintptr_t>(bytes) == 0;
}

}  // namespace

CublasMatmulShape with_strides(CublasMatmulShape s) {
  if (s.a_stride == 0) s.a_stride = stored_row(s.a_transposed, s.m, s.k);
  if (s.b_stride == 0) s.b_stride = stored_row(s.b_transposed, s.k, s.n);
  if (s.c_stride == 0) s.c_stride = s.n;
  return s;
}

std::string describe(const CublasMatmulShape& given) {
  const CublasMatmulShape s = with_strides(given);
  const char* const in = compute_type(s) == CUBLAS_COMPUTE_32F ? name(s.in) : "tf32";
  std::string text = std::to_string(s.m) + "x" + std::to_string(s.n) + "x" + std::to_string(s.k) + " " + in + " -> " +
                     name(s.out) + ", A" + (s.a_transposed ? "^T" : "") + " B" + (s.b_transposed ? "^T" : "") + ", " +
                     name(s.epilogue);
  const auto add_stride = [&text](const char* of, std::int64_t stride, std::int64_t row) {
    if (stride != row) text += std::string(", rows of ") + of + " " + std::to_string(stride) + " apart";
  };
  add_stride("A", s.a_stride, stored_row(s.a_transposed, s.m, s.k));
  add_stride("B", s.b_stride, stored_row(s.b_transposed, s.k, s.n));
  add_stride("C", s.c_stride, s.n);
  if (s.alignment_bytes != 16) text += ", aligned to " + std::to_string(s.alignment_bytes);
  return text;
}

MatmulDescriptors::MatmulDescriptors(const CublasMatmulShape& s) : epilogue_(s.epilogue), in_(s.in), out_(s.out) {
  cublasLtMatmulDesc_t operation = nullptr;
  GPUMONTH_CUBLAS(cublasLtMatmulDescCreate, &operation, compute_type(s), CUDA_R_32F);
  operation_.reset(operation);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSA, s.b_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(operation, CUBLASLT_MATMUL_DESC_TRANSB, s.a_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE, cublaslt_epilogue(s.epilogue));
  if (has_vector(s.epilogue)) {
    set(operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE,
        static_cast<std::int32_t>(cuda_type(vector_type(s.epilogue, s.out))));
  }
  if (has_aux(s.epilogue)) set(operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, s.n);  // its type: D's, by default
  first_.reset(s.b_transposed ? layout(s.in, s.k, s.n, s.b_stride) : layout(s.in, s.n, s.k, s.b_stride));
  second_.reset(s.a_transposed ? layout(s.in, s.m, s.k, s.a_stride) : layout(s.in, s.k, s.m, s.a_stride));
  result_.reset(layout(s.out, s.n, s.m, s.c_stride));
}

void MatmulDescriptors::set_epilogue_pointers(const void* vector, const void* aux) const {
  if (has_vector(epilogue_)) set(operation_.get(), CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
  if (has_aux(epilogue_)) set(operation_.get(), CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux);
}

cublasStatus_t MatmulDescriptors::launch(const Cuda& device, const MatmulAlgorithm& algorithm, const void* a,
                                         const void* b, void* c) const {
  const CudaContext& context = *device.context;
  const float alpha = 1, beta = 0;
  return cublasLtMatmul(context.cublaslt, operation_.get(), &alpha, b, first_.get(), a, second_.get(), &beta, c,
                        result_.get(), c, result_.get(), &algorithm.opaque, context.workspace, context.workspace_bytes,
                        context.stream);
}

std::vector<MatmulAlgorithm> MatmulDescriptors::suggestions(const Cuda& device, std::int64_t alignment_bytes) const {
  const CudaContext& context = *device.context;
  // The library reads the epilogue's alignment from its pointers. They are not followed.
  const auto alignment_of = [alignment_bytes](Dtype dtype) {
    return static_cast<std::uint32_t>(std::max(alignment_bytes, bytes_of(dtype)));
  };
  const auto pointer_to = [alignment_of](Dtype dtype) {
    return reinterpret_cast<const void*>(static_cast<std::uintptr_t>(alignment_of(dtype)));
  };
  set_epilogue_pointers(pointer_to(vector_type(epilogue_, out_)), pointer_to(out_));

  cublasLtMatmulPreference_t preference = nullptr;
  GPUMONTH_CUBLAS(cublasLtMatmulPreferenceCreate, &preference);
  const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t, DestroyCublasLt> owner(preference);
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<std::uint64_t>(context.workspace_bytes));
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, reduction_schemes(context.deterministic, out_));
  for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES})
    set(preference, which, alignment_of(in_));
  for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(preference, which, alignment_of(out_));

  cublasLtMatmulHeuristicResult_t results[kMostSuggestions];
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(context.cublaslt, operation_.get(), first_.get(), second_.get(), result_.get(),
                                     result_.get(), preference, kMostSuggestions, results, &count);
  std::vector<MatmulAlgorithm> found;
  if (status != CUBLAS_STATUS_SUCCESS) return found;  // NOT_SUPPORTED or INVALID_VALUE: this combination is refused
  for (int i = 0; i < count; ++i)
    if (results[i].state == CUBLAS_STATUS_SUCCESS && results[i].workspaceSize <= context.workspace_bytes)
      found.push_back({results[i].algo});
  return found;
}

struct CublasMatmul::Plan {
  Cuda device;
  CublasMatmulShape shape;
  MatmulDescriptors descriptors;
  TunedMatmul tuned;

  Plan(Cuda& d, const CublasMatmulShape& s, AlgorithmChoice choice)
      : device(d), shape(with_strides(s)), descriptors(shape), tuned(tune(d, shape, descriptors, choice)) {}

  const MatmulAlgorithm* algorithm_for(std::initializer_list<const void*> pointers) const {
    for (const void* p : pointers)
      if (!aligned(p, shape.alignment_bytes)) return tuned.any_alignment ? &*tuned.any_alignment : nullptr;
    return &tuned.algorithm;
  }
};

CublasMatmul::CublasMatmul(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}
CublasMatmul::~CublasMatmul() = default;
CublasMatmul::CublasMatmul(CublasMatmul&&) noexcept = default;
CublasMatmul& CublasMatmul::operator=(CublasMatmul&&) noexcept = default;

std::optional<CublasMatmul> CublasMatmul::make(Cuda& device, const CublasMatmulShape& shape, AlgorithmChoice choice) {
  auto plan = std::make_unique<Plan>(device, shape, choice);
  if (!plan->tuned.found) return std::nullopt;
  return CublasMatmul(std::move(plan));
}

CublasMatmul::CublasMatmul(Cuda& device, const CublasMatmulShape& shape, AlgorithmChoice choice)
    : plan_(std::make_unique<Plan>(device, shape, choice)) {
  if (!plan_->tuned.found)
    throw CudaError("cublasLtMatmulAlgoGetHeuristic: no algorithm that runs for " + describe(shape) +
                    " - is this cuBLAS built for this GPU? (tensor dimensions: see `gpumonth flops`)");
}

void CublasMatmul::run(const void* a, const void* b, void* c, void* vector, void* aux) const {
  const MatmulAlgorithm* algorithm = plan_->algorithm_for({a, b, c, vector, aux});
  if (!algorithm)
    throw CudaError("cublasLtMatmul: no algorithm for pointers not aligned to " +
                    std::to_string(plan_->shape.alignment_bytes) + " bytes, for " + describe(plan_->shape));
  plan_->descriptors.set_epilogue_pointers(vector, aux);
  const cublasStatus_t status = plan_->descriptors.launch(plan_->device, *algorithm, a, b, c);
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const std::string call = "cublasLtMatmul of " + describe(plan_->shape);
  check_cublas(status, call.c_str(), __FILE__, __LINE__);
}

double CublasMatmul::microseconds() const { return plan_->tuned.microseconds; }

double matmul_flops_per_s(Cuda& device, std::int64_t m, std::int64_t n, std::int64_t k, Dtype dtype) {
  constexpr double kBudgetUs = 30e3;
  const CublasMatmul product(
      device, {.m = m, .n = n, .k = k, .in = dtype, .out = dtype, .b_transposed = true, .alignment_bytes = 256},
      AlgorithmChoice::fastest);
  const TrialBuffer a(device, dtype, m * k), b(device, dtype, n * k), c(device, dtype, m * n);
  if (!a || !b || !c) return std::numeric_limits<double>::quiet_NaN();
  const double us = time_us(device, kBudgetUs, [&] { product.run(a.get(), b.get(), c.get()); });
  return 2e6 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) / us;
}

}  // namespace gpumonth::ops
