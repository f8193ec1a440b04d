#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <random>
#include <vector>

#include "trainer/gemm_peak.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/cuda/context.h"
#include "trainer/ops/cuda/matmul.h"
#include "trainer/ops/linear.h"
#include "trainer/ops/step_timer.h"

namespace gpumonth::trainer {
namespace {

constexpr double kWarmSeconds = 0.3, kMeasuredSeconds = 0.3;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// Seconds of one `work` when it is repeated for at least `least_s`.
double seconds_each(ops::Cuda& device, double least_s, const std::function<void()>& work) {
  ops::StepTimer<ops::Cuda> timer(device, 2);
  int repeats = 1;
  for (;;) {
    timer.mark(0);
    for (int i = 0; i < repeats; ++i) work();
    timer.mark(1);
    ops::synchronize(device);
    const double taken_s = timer.seconds(0, 1);
    if (taken_s >= least_s || repeats >= 1 << 20) return taken_s / repeats;
    const double wanted = 1.2 * least_s * repeats / std::max(taken_s, 1e-6);
    repeats = static_cast<int>(std::clamp(wanted, 2.0 * repeats, 1048576.0));
  }
}

/// Random numbers: a GPU draws less power for zeros, and is faster. One MiB of them, repeated.
template <class T>
void fill(ops::Cuda& device, const ops::Buffer<ops::Cuda, T>& buffer, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<T> values(std::min<std::size_t>(std::size_t{1} << 18, static_cast<std::size_t>(buffer.size())));
  for (T& value : values) value = ops::from_float<T>(uniform(engine));
  for (std::size_t at = 0; at < static_cast<std::size_t>(buffer.size()); at += values.size()) {
    const std::size_t count = std::min(values.size(), static_cast<std::size_t>(buffer.size()) - at);
    ops::copy_to_device(device, buffer.get() + at, values.data(), count * sizeof(T));
  }
}

/// y (rows, out) = x (rows, in) W^T, W (out, in), as a linear layer's forward. cuBLASLt counts columns first,
/// so to it y^T = W x^T, with W^T and x^T as they lie.
class Product {
 public:
  Product(ops::Cuda& device, cudaDataType_t type, std::int64_t rows, std::int64_t out, std::int64_t in)
      : context_(*device.context) {
    GPUMONTH_CUBLAS(cublasLtMatmulDescCreate, &product_, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    GPUMONTH_CUBLAS(cublasLtMatmulDescSetAttribute, product_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                    sizeof transposed);
    const auto layout = [type](cublasLtMatrixLayout_t& made, std::int64_t r, std::int64_t c) {
      GPUMONTH_CUBLAS(cublasLtMatrixLayoutCreate, &made, type, static_cast<std::uint64_t>(r),
                      static_cast<std::uint64_t>(c), r);
    };
    layout(w_, in, out);
    layout(x_, in, rows);
    layout(y_, out, rows);
    cublasLtMatmulPreference_t preference = nullptr;
    GPUMONTH_CUBLAS(cublasLtMatmulPreferenceCreate, &preference);
    (void)cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &context_.workspace_bytes, sizeof context_.workspace_bytes);
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(context_.cublaslt, product_, w_, x_, y_, y_, preference,
                                       static_cast<int>(found_.size()), found_.data(), &count);
    (void)cublasLtMatmulPreferenceDestroy(preference);
    algorithms_ = status == CUBLAS_STATUS_SUCCESS ? count : 0;
  }
  ~Product() {
    if (y_) (void)cublasLtMatrixLayoutDestroy(y_);
    if (x_) (void)cublasLtMatrixLayoutDestroy(x_);
    if (w_) (void)cublasLtMatrixLayoutDestroy(w_);
    if (product_) (void)cublasLtMatmulDescDestroy(product_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  int algorithms() const { return algorithms_; }
  cublasStatus_t run(int algorithm, const void* w, const void* x, void* y) const {
    const float one = 1, zero = 0;
    return cublasLtMatmul(context_.cublaslt, product_, &one, w, w_, x, x_, &zero, y, y_, y, y_,
                          &found_[static_cast<std::size_t>(algorithm)].algo, context_.workspace,
                          context_.workspace_bytes, context_.stream);
  }

 private:
  ops::CudaContext& context_;
  cublasLtMatmulDesc_t product_ = nullptr;
  cublasLtMatrixLayout_t w_ = nullptr, x_ = nullptr, y_ = nullptr;
  std::array<cublasLtMatmulHeuristicResult_t, 8> found_{};
  int algorithms_ = 0;
};

/// NaN where cuBLASLt offers nothing that runs.
template <class T>
double rate(ops::Cuda& device, std::int64_t rows, std::int64_t out, std::int64_t in) {
  const Product product(device, sizeof(T) == 2 ? CUDA_R_16BF : CUDA_R_32F, rows, out, in);
  ops::Buffer<ops::Cuda, T> w(device, out * in), x(device, rows * in), y(device, rows * out);
  fill(device, w, 1);
  fill(device, x, 2);
  int best = -1;
  double best_s = std::numeric_limits<double>::infinity();
  for (int a = 0; a < product.algorithms(); ++a) {
    if (product.run(a, w.get(), x.get(), y.get()) != CUBLAS_STATUS_SUCCESS) continue;
    const double each_s = seconds_each(device, 0.005, [&] { (void)product.run(a, w.get(), x.get(), y.get()); });
    if (each_s < best_s) best_s = each_s, best = a;
  }
  if (best < 0) return kNone;
  const auto work = [&] {
    ops::check_cublas(product.run(best, w.get(), x.get(), y.get()), "cublasLtMatmul", __FILE__, __LINE__);
  };
  (void)seconds_each(device, kWarmSeconds, work);
  return 2.0 * static_cast<double>(rows) * static_cast<double>(out) * static_cast<double>(in) /
         seconds_each(device, kMeasuredSeconds, work);
}

}  // namespace

GemmPeak measure_gpu_gemm_peak(const std::string& dtype, int device) {
  GemmPeak best{kNone, ""};
  ops::Cuda cuda;
  try {
    cuda.context = std::make_shared<ops::CudaContext>(device, false);
  } catch (const ops::CudaOutOfMemory&) {
    return best;
  }
  // Square, then fc1 and fc2 of an XL, and fc1 of a width that tiles divide.
  constexpr std::int64_t kShapes[][3] = {
      {8192, 8192, 8192}, {4096, 4096, 4096}, {16384, 4608, 1152}, {16384, 1152, 4608}, {16384, 4096, 1024}};
  for (const auto& [rows, out, in] : kShapes) {
    try {
      const double flops_per_s =
          dtype == "bf16" ? rate<ops::bf16>(cuda, rows, out, in) : rate<float>(cuda, rows, out, in);
      if (flops_per_s > best.flops_per_s || (best.shape.empty() && flops_per_s > 0))
        best = {flops_per_s, fmt::format("{}x{}x{}", rows, out, in)};
    } catch (const ops::CudaOutOfMemory&) {  // beside a model that fills the GPU
    }
  }
  return best;
}

std::vector<std::string> gpu_mlp_choices(int device) {
  constexpr std::int64_t kRows = 8192, kWidth = 1152, kMlp = 4 * kWidth;
  ops::Cuda cuda;
  try {
    cuda.context = std::make_shared<ops::CudaContext>(device, false);
  } catch (const ops::CudaOutOfMemory&) {
    return {};
  }
  const ops::Linear<ops::Cuda, ops::bf16> fc1(cuda, {.rows = kRows, .in = kWidth, .out = kMlp}),
      fc2(cuda, {.rows = kRows, .in = kMlp, .out = kWidth});
  std::vector<std::string> lines;
  const std::string gpu = fmt::format("GPU {}: ", device);
  for (const std::string& line : ops::matmul_tuning_report())
    if (line.compare(0, gpu.size(), gpu) == 0 && line.find("gelu") != std::string::npos &&
        line.find(", against ") != std::string::npos)
      lines.push_back(line.substr(gpu.size()));
  return lines;
}

double measure_gpu_copy_bandwidth(int device) {
  for (std::int64_t bytes = std::int64_t{1} << 30; bytes >= std::int64_t{1} << 27; bytes /= 2) {
    try {
      ops::Cuda cuda{std::make_shared<ops::CudaContext>(device, false)};
      ops::Buffer<ops::Cuda, std::byte> from(cuda, bytes), to(cuda, bytes);
      const auto copy = [&] {
        GPUMONTH_CUDA(cudaMemcpyAsync, to.get(), from.get(), from.bytes(), cudaMemcpyDeviceToDevice,
                      ops::stream_of(cuda));
      };
      (void)seconds_each(cuda, 0.1, copy);
      return 2.0 * static_cast<double>(bytes) / seconds_each(cuda, kMeasuredSeconds, copy);
    } catch (const ops::CudaOutOfMemory&) {  // smaller arrays, down to well above the L2 cache
    }
  }
  return kNone;
}

}  // namespace gpumonth::trainer
