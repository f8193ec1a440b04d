// The emulated cuBLASLt against sums written out, and what it refuses.
#include <cublasLt.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "tests/catch.h"

namespace {

// ---- the library's objects, with the attributes that the cases change
struct Case {
  std::int64_t m = 5, n = 7, k = 9;  // D (m, n) = op(A) (m, k) op(B) (k, n)
  bool transa = false, transb = false;
  cudaDataType_t in = CUDA_R_32F, out = CUDA_R_32F;
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  std::int64_t pad = 0;  ///< ld beyond the stored rows, of every matrix
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  std::optional<cudaDataType_t> bias_type{};
  float alpha = 1, beta = 0;
  std::int64_t aux_ld = 8;
  std::uint32_t alignment = 16;
  std::uint64_t workspace_bytes = 1 << 20;
  std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;

  std::int64_t lda() const { return (transa ? k : m) + pad; }
  std::int64_t ldb() const { return (transb ? n : k) + pad; }
  std::int64_t ldd() const { return m + pad; }
};

std::size_t bytes_of(cudaDataType_t type) { return type == CUDA_R_16BF ? 2 : 4; }

float rounded(float value, cudaDataType_t type) {
  if (type != CUDA_R_16BF) return value;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u);
}

/// Device memory of `count` elements, filled with `values` or a pattern; `shift` moves it off its alignment.
class Device {
 public:
  Device(cudaDataType_t type, std::int64_t count, int seed, std::size_t shift = 0)
      : type_(type), shift_(shift), values(static_cast<std::size_t>(count)) {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = rounded(std::sin(static_cast<float>(i * 7 + 1) * static_cast<float>(seed)), type);
    REQUIRE(cudaMalloc(&memory_, values.size() * bytes_of(type) + 256) == cudaSuccess);
    std::vector<std::byte> raw(values.size() * bytes_of(type));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(values[i]) >> (type == CUDA_R_16BF ? 16 : 0);
      std::memcpy(raw.data() + i * bytes_of(type), &bits, bytes_of(type));
    }
    REQUIRE(cudaMemcpy(data(), raw.data(), raw.size(), cudaMemcpyHostToDevice) == cudaSuccess);
  }
  ~Device() { cudaFree(memory_); }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  void* data() const { return static_cast<std::byte*>(memory_) + shift_; }
  std::vector<float> fetch() const {
    std::vector<std::byte> raw(values.size() * bytes_of(type_));
    REQUIRE(cudaMemcpy(raw.data(), data(), raw.size(), cudaMemcpyDeviceToHost) == cudaSuccess);
    std::vector<float> found(values.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      std::uint32_t bits = 0;
      std::memcpy(&bits, raw.data() + i * bytes_of(type_), bytes_of(type_));
      found[i] = std::bit_cast<float>(type_ == CUDA_R_16BF ? bits << 16 : bits);
    }
    return found;
  }

 private:
  cudaDataType_t type_;
  std::size_t shift_;
  void* memory_ = nullptr;

 public:
  std::vector<float> values;
};

struct Library {
  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    REQUIRE(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value) == CUBLAS_STATUS_SUCCESS);
  }
  template <class T>
  void prefer(cublasLtMatmulPreferenceAttributes_t attribute, T value) {
    REQUIRE(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value) == CUBLAS_STATUS_SUCCESS);
  }
  explicit Library(const Case& c) {
    cublasLtCreate(&handle);
    cublasLtMatmulDescCreate(&operation, c.compute, CUDA_R_32F);
    set(CUBLASLT_MATMUL_DESC_TRANSA, c.transa ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, c.transb ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, c.epilogue);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, c.aux_ld);
    if (c.bias_type) set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<std::int32_t>(*c.bias_type));
    const auto m = static_cast<std::uint64_t>(c.m), n = static_cast<std::uint64_t>(c.n),
               k = static_cast<std::uint64_t>(c.k);
    cublasLtMatrixLayoutCreate(&a, c.in, c.transa ? k : m, c.transa ? m : k, c.lda());
    cublasLtMatrixLayoutCreate(&b, c.in, c.transb ? n : k, c.transb ? k : n, c.ldb());
    cublasLtMatrixLayoutCreate(&d, c.out, m, n, c.ldd());
    cublasLtMatmulPreferenceCreate(&preference);
    prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, c.workspace_bytes);
    prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, c.reductions);
    for (const auto which : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      prefer(which, c.alignment);
  }
  ~Library() {
    cublasLtMatmulPreferenceDestroy(preference);
    for (const auto layout : {a, b, d}) cublasLtMatrixLayoutDestroy(layout);
    cublasLtMatmulDescDestroy(operation);
    cublasLtDestroy(handle);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  cublasStatus_t suggest(std::vector<cublasLtMatmulAlgo_t>& algorithms) {
    cublasLtMatmulHeuristicResult_t results[8];
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, operation, a, b, d, d, preference, 8, results, &count);
    algorithms.clear();
    for (int i = 0; i < count; ++i) algorithms.push_back(results[i].algo);
    return status;
  }
};

std::vector<cublasLtMatmulAlgo_t> algorithms_for(Library& library) {
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  library.suggest(algorithms);
  return algorithms;
}

/// The operands of a case, on the GPU.
struct Operands {
  Device a, b, d, bias, aux, workspace;
  explicit Operands(const Case& c, std::size_t shift = 0)
      : a(c.in, c.lda() * (c.transa ? c.m : c.k), 1, shift), b(c.in, c.ldb() * (c.transb ? c.k : c.n), 2, shift),
        d(c.out, c.ldd() * c.n, 3, shift), bias(c.bias_type.value_or(c.out), std::max(c.m, c.n), 4, shift),
        aux(c.out, c.aux_ld * c.n, 5, shift), workspace(CUDA_R_32F, 1 << 18, 6) {}
  void point(Library& library) const {
    library.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias.data());
    library.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, aux.data());
  }
};

cublasStatus_t multiply(const Case& c, Library& library, const Operands& on, const cublasLtMatmulAlgo_t& algorithm,
                        std::size_t workspace_bytes = 1 << 20) {
  float alpha = c.alpha, beta = c.beta;
  const cublasStatus_t status = cublasLtMatmul(library.handle, library.operation, &alpha, on.a.data(), library.a,
                                               on.b.data(), library.b, &beta, on.d.data(), library.d, on.d.data(),
                                               library.d, &algorithm, on.workspace.data(), workspace_bytes, nullptr);
  alpha = beta = std::nanf("");  // read in the call
  REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
  return status;
}

double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) { return (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5; }

/// Half a unit in the last place of `type`, and the fp32 sum of a hundred terms.
bool close(float got, double expected, cudaDataType_t type) {
  const double tolerance = (type == CUDA_R_16BF ? 1.0 / 256 : 0) * std::abs(expected) + 1e-5 * (1 + std::abs(expected));
  return std::abs(static_cast<double>(got) - expected) <= tolerance;
}

/// Every value of D, the vector and aux, and that nothing between D's columns was written.
std::size_t count_wrong(const Case& c, const Operands& on) {
  const auto at = [](const Device& x, std::int64_t i) {
    return static_cast<double>(x.values[static_cast<std::size_t>(i)]);
  };
  const auto a = [&](std::int64_t i, std::int64_t l) { return at(on.a, c.transa ? l + i * c.lda() : i + l * c.lda()); };
  const auto b = [&](std::int64_t l, std::int64_t j) { return at(on.b, c.transb ? j + l * c.ldb() : l + j * c.ldb()); };
  const std::vector<float> d = on.d.fetch(), bias = on.bias.fetch(), aux = on.aux.fetch();
  const bool forward = c.epilogue == CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
  const bool backward = c.epilogue == CUBLASLT_EPILOGUE_DGELU || c.epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD;
  const cudaDataType_t vector_type = c.bias_type.value_or(c.out);
  std::vector<double> row_sums(static_cast<std::size_t>(c.m));
  std::size_t wrong = 0;
  for (std::int64_t j = 0; j < c.n; ++j) {
    for (std::int64_t i = 0; i < c.ldd(); ++i) {
      const auto place = static_cast<std::size_t>(i + j * c.ldd());
      if (i >= c.m) {
        wrong += d[place] != on.d.values[place];
        continue;
      }
      double x = c.beta != 0 ? static_cast<double>(c.beta) * at(on.d, i + j * c.ldd()) : 0;
      for (std::int64_t l = 0; l < c.k; ++l) x += static_cast<double>(c.alpha) * a(i, l) * b(l, j);
      if (c.epilogue == CUBLASLT_EPILOGUE_BIAS || forward) x += at(on.bias, i);
      if (forward) wrong += !close(aux[static_cast<std::size_t>(i + j * c.aux_ld)], x, c.out);
      if (forward) x = gelu(x);
      if (backward) x *= gelu_slope(at(on.aux, i + j * c.aux_ld));
      row_sums[static_cast<std::size_t>(i)] += x;
      wrong += !close(d[place], x, c.out);
    }
  }
  for (std::int64_t i = 0; i < c.m; ++i) {
    double sum = 0;
    for (std::int64_t l = 0; l < c.k; ++l) sum += a(i, l);
    const auto place = static_cast<std::size_t>(i);
    if (c.epilogue == CUBLASLT_EPILOGUE_BGRADA) wrong += !close(bias[place], sum, vector_type);
    if (c.epilogue == CUBLASLT_EPILOGUE_DGELU_BGRAD) wrong += !close(bias[place], row_sums[place], vector_type);
  }
  for (std::int64_t j = 0; j < c.n && c.epilogue == CUBLASLT_EPILOGUE_BGRADB; ++j) {
    double sum = 0;
    for (std::int64_t l = 0; l < c.k; ++l) sum += b(l, j);
    wrong += !close(bias[static_cast<std::size_t>(j)], sum, vector_type);
  }
  return wrong;
}

void check_product(const Case& c, std::size_t least_algorithms = 1) {
  INFO("m, n, k " << c.m << ", " << c.n << ", " << c.k << ", transposed " << c.transa << c.transb << ", types " << c.in
                  << " " << c.out << ", pad " << c.pad << ", epilogue " << c.epilogue);
  Library library(c);
  const std::size_t count = [&] {
    const Operands pointers(c);
    pointers.point(library);
    return algorithms_for(library).size();
  }();
  REQUIRE(count >= least_algorithms);
  for (std::size_t i = 0; i < count; ++i) {
    INFO("algorithm " << i);
    const Operands on(c);
    on.point(library);
    REQUIRE(multiply(c, library, on, algorithms_for(library)[i]) == CUBLAS_STATUS_SUCCESS);
    CHECK(count_wrong(c, on) == 0);
  }
}

cublasStatus_t status_of(const Case& c, std::vector<cublasLtMatmulAlgo_t>* algorithms = nullptr) {
  Library library(c);
  const Operands on(c);
  on.point(library);
  std::vector<cublasLtMatmulAlgo_t> found;
  const cublasStatus_t status = library.suggest(found);
  if (algorithms) *algorithms = found;
  return status;
}

struct Mode {  // of the emulation, for one test case
  explicit Mode(const char* mode) { setenv("GPUMONTH_EMULATED_CUBLASLT", mode, 1); }
  ~Mode() { unsetenv("GPUMONTH_EMULATED_CUBLASLT"); }
};

constexpr cudaDataType_t kBf16 = CUDA_R_16BF, kFp32 = CUDA_R_32F;

}  // namespace

TEST_CASE("products in every layout") {
  for (const bool transa : {false, true})
    for (const bool transb : {false, true})
      for (const auto& [in, out] : {std::pair{kFp32, kFp32}, {kBf16, kBf16}, {kBf16, kFp32}})
        for (const std::int64_t pad : {0, 3}) {
          check_product({.transa = transa, .transb = transb, .in = in, .out = out, .pad = pad}, out == kFp32 ? 3 : 2);
          check_product({.m = 1, .n = 1, .k = 1, .transa = transa, .transb = transb, .in = in, .out = out, .pad = pad});
          check_product({.m = 33,
                         .n = 20,
                         .k = 100,
                         .transa = transa,
                         .transb = transb,
                         .in = in,
                         .out = out,
                         .pad = pad,
                         .alpha = 0.5f,
                         .beta = -2});
        }
}

TEST_CASE("epilogues") {
  for (const auto epilogue : {CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU,
                              CUBLASLT_EPILOGUE_DGELU_BGRAD, CUBLASLT_EPILOGUE_BGRADA, CUBLASLT_EPILOGUE_BGRADB})
    for (const auto& [in, out] : {std::pair{kFp32, kFp32}, {kBf16, kBf16}, {kBf16, kFp32}})
      for (const bool transposed : {false, true}) {
        check_product({.transa = transposed, .in = in, .out = out, .pad = 2, .epilogue = epilogue});
        check_product({.m = 13,
                       .n = 6,
                       .k = 30,
                       .transb = transposed,
                       .in = in,
                       .out = out,
                       .epilogue = epilogue,
                       .bias_type = out,
                       .alpha = 2,
                       .aux_ld = 24});
      }
}

TEST_CASE("TF32 reads 10 bits of the mantissa of fp32 operands") {
  const Case c{.m = 1, .n = 1, .k = 1, .compute = CUBLAS_COMPUTE_32F_FAST_TF32};
  Library library(c);
  const float one = 1;
  for (const auto& [given, read] : {std::pair{1 + 0x1p-10f, 1 + 0x1p-10f},
                                    {1 + 0x1p-11f, 1 + 0x1p-10f},
                                    {-1 - 0x1.8p-11f, -1 - 0x1p-10f},
                                    {1 + 0x1p-12f, 1.0f},
                                    {0x1.fffp5f, 0x1p6f},
                                    {0.0f, 0.0f}})
    for (const bool first : {true, false}) {
      const Operands on(c);
      const Device &number = first ? on.a : on.b, &other = first ? on.b : on.a;
      REQUIRE(cudaMemcpy(number.data(), &given, sizeof given, cudaMemcpyHostToDevice) == cudaSuccess);
      REQUIRE(cudaMemcpy(other.data(), &one, sizeof one, cudaMemcpyHostToDevice) == cudaSuccess);
      REQUIRE(multiply(c, library, on, algorithms_for(library)[0]) == CUBLAS_STATUS_SUCCESS);
      CHECK(on.d.fetch()[0] == read);
    }
  CHECK(status_of({.in = kBf16, .out = kBf16, .compute = CUBLAS_COMPUTE_32F_FAST_TF32}) == CUBLAS_STATUS_NOT_SUPPORTED);
}

TEST_CASE("what the documentation excludes is refused") {
  CHECK(status_of({}) == CUBLAS_STATUS_SUCCESS);
  CHECK(status_of({.in = kFp32, .out = kBf16}) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(status_of({.pad = -1}) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(status_of({.epilogue = CUBLASLT_EPILOGUE_RELU}) == CUBLAS_STATUS_NOT_SUPPORTED);
  const Case gelu_case{.in = kBf16, .out = kBf16, .epilogue = CUBLASLT_EPILOGUE_GELU_AUX_BIAS};
  CHECK(status_of(gelu_case) == CUBLAS_STATUS_SUCCESS);
  Case changed = gelu_case;
  changed.aux_ld = 12;  // not a multiple of 8
  CHECK(status_of(changed) == CUBLAS_STATUS_INVALID_VALUE);
  changed = gelu_case;
  changed.m = 9;  // more rows than aux_ld
  CHECK(status_of(changed) == CUBLAS_STATUS_INVALID_VALUE);
  changed = gelu_case;
  changed.bias_type = kFp32;  // D is bf16
  CHECK(status_of(changed) == CUBLAS_STATUS_INVALID_VALUE);
  changed.epilogue = CUBLASLT_EPILOGUE_DGELU_BGRAD;
  CHECK(status_of(changed) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(status_of({.in = kBf16, .out = kFp32, .alignment = 2}) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(status_of({.in = kBf16, .out = kBf16, .alignment = 2}) == CUBLAS_STATUS_SUCCESS);
  const Mode mode("no-epilogues");
  CHECK(status_of(gelu_case) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(status_of({.epilogue = CUBLASLT_EPILOGUE_BIAS}) == CUBLAS_STATUS_NOT_SUPPORTED);
  CHECK(status_of({}) == CUBLAS_STATUS_SUCCESS);
}

TEST_CASE("an attribute of another size is refused") {
  Library library({});
  const std::int32_t narrow = 8;
  const std::uint32_t wide[2] = {1, 0};
  CHECK(cublasLtMatmulDescSetAttribute(library.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &narrow,
                                       sizeof narrow) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(cublasLtMatmulPreferenceSetAttribute(library.preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, wide,
                                             sizeof wide) == CUBLAS_STATUS_INVALID_VALUE);
}

TEST_CASE("the preference filters algorithms") {
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  const auto count = [&](const Case& c) {
    status_of(c, &algorithms);
    return algorithms.size();
  };
  CHECK(count({}) == 3);
  CHECK(count({.reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE}) == 2);
  CHECK(count({.workspace_bytes = 0}) == 2);
  CHECK(count({.workspace_bytes = 0, .reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE}) == 1);
  std::uint32_t splits = 0;
  std::size_t written = 0;
  status_of({}, &algorithms);
  REQUIRE(cublasLtMatmulAlgoConfigGetAttribute(&algorithms[1], CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits,
                                               &written) == CUBLAS_STATUS_SUCCESS);
  CHECK(splits == 2);
}

TEST_CASE("an algorithm runs only what it was made for") {
  const Case c{.in = kBf16, .out = kBf16, .epilogue = CUBLASLT_EPILOGUE_BIAS};
  Library library(c);
  const Operands on(c), off(c, 8);
  on.point(library);
  const auto algorithms = algorithms_for(library);
  REQUIRE(algorithms.size() == 2);
  CHECK(multiply(c, library, on, algorithms[0]) == CUBLAS_STATUS_SUCCESS);
  CHECK(multiply(c, library, off, algorithms[0]) == CUBLAS_STATUS_INVALID_VALUE);    // 8 bytes, 16 were promised
  CHECK(multiply(c, library, on, algorithms[1], 4) == CUBLAS_STATUS_INVALID_VALUE);  // too small a workspace
  library.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, off.bias.data());
  CHECK(multiply(c, library, on, algorithms[0]) == CUBLAS_STATUS_INVALID_VALUE);
  library.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<void*>(nullptr));
  CHECK(multiply(c, library, on, algorithms[0]) == CUBLAS_STATUS_INVALID_VALUE);
  on.point(library);
  Case other = c;
  other.pad = 8;
  Library wider(other);
  const Operands wide(other);
  wide.point(wider);
  CHECK(multiply(other, wider, wide, algorithms[0]) == CUBLAS_STATUS_INVALID_VALUE);
  CHECK(multiply(other, wider, wide, cublasLtMatmulAlgo_t{}) == CUBLAS_STATUS_INVALID_VALUE);

  Case loose = c;
  loose.alignment = 2;
  Library any(loose);
  const Operands odd(loose, 2);
  odd.point(any);
  const auto slow = algorithms_for(any);
  REQUIRE(!slow.empty());
  CHECK(multiply(loose, any, odd, slow[0]) == CUBLAS_STATUS_SUCCESS);
  CHECK(count_wrong(loose, odd) == 0);
}

TEST_CASE("algorithms add in another order") {
  const Case c{.m = 16, .n = 16, .k = 999};
  std::vector<std::vector<float>> sums;
  for (std::size_t i = 0; i < 3; ++i) {
    Library library(c);
    const Operands on(c);
    REQUIRE(multiply(c, library, on, algorithms_for(library)[i]) == CUBLAS_STATUS_SUCCESS);
    sums.push_back(on.d.fetch());
  }
  CHECK(sums[0] != sums[1]);
  CHECK(sums[0] != sums[2]);
  CHECK(sums[1] != sums[2]);
}
