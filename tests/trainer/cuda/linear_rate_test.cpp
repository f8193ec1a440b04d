// How fast Linear<Cuda> is on the layers of DiT-XL/2 and of the 20 B model, against the fastest cuBLASLt
// product of the same m, n and k that does nothing else. The two take turns: at its power limit a GPU changes its clock
// within milliseconds, and a rate of another second says nothing.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/trainer/cuda/gpu.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/cuda/autotune.h"
#include "trainer/ops/cuda/matmul.h"
#include "trainer/ops/linear.h"

namespace gpumonth::ops {
namespace {

constexpr double kWanted = 0.97;
/// Of the plain product's rate.
constexpr double kLowest = 0.90;
/// Where a product does an op's work too, of the rate of the plain product and a copy of the bytes that the op by itself
/// would move: what the best split of the two could reach.
constexpr double kLowestWithOp = 0.85;
constexpr double kBudgetUs = 30e3;

/// The first GPU, choosing by time as a run does that is not asked to be deterministic.
Cuda& timing_gpu() {
  tests::gpu();  // ends the program where there is none
  static Cuda device{std::make_shared<CudaContext>(0, false)};
  return device;
}

struct Layer {
  const char* name;
  std::int64_t rows, in, out;
};

class Rates {
 public:
  explicit Rates(const Layer& layer)
      : layer_(layer), linear_(timing_gpu(), {.rows = layer.rows, .in = layer.in, .out = layer.out}) {}

  /// `op_bytes`: read and written by the op that `work` does beside the product; 0: none.
  void check(const char* product, std::int64_t m, std::int64_t n, std::int64_t k, std::int64_t op_bytes,
             const std::function<void()>& work) const {
    Cuda& device = timing_gpu();
    const CublasMatmul plain(
        device,
        {.m = m, .n = n, .k = k, .in = Dtype::bf16, .out = Dtype::bf16, .b_transposed = true, .alignment_bytes = 256},
        AlgorithmChoice::fastest);
    const TrialBuffer a(device, Dtype::bf16, m * k), b(device, Dtype::bf16, n * k), c(device, Dtype::bf16, m * n),
        from(device, Dtype::bf16, op_bytes / 4 + 1), to(device, Dtype::bf16, op_bytes / 4 + 1);
    REQUIRE((a && b && c && from && to));
    const auto [us, plain_us] = time_in_turns_us(device, kBudgetUs, work, [&] {
      plain.run(a.get(), b.get(), c.get());
      if (op_bytes > 0)
        GPUMONTH_CUDA(cudaMemcpyAsync, to.get(), from.get(), static_cast<std::size_t>(op_bytes / 2),
                      cudaMemcpyDeviceToDevice, stream_of(device));
    });
    const double flops = 2 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
    const double share = plain_us / us;
    std::printf("%-10s %-22s %6lld x %6lld x %6lld  %9.1f us  %6.1f TFLOP/s  plain%s %6.1f  %5.1f %%%s\n", layer_.name,
                product, static_cast<long long>(m), static_cast<long long>(n), static_cast<long long>(k), us,
                1e-6 * flops / us, op_bytes > 0 ? " and copy" : "", 1e-6 * flops / plain_us, 100 * share,
                share < kWanted ? "  below 97 %" : "");
    std::fflush(stdout);
    INFO(layer_.name << ", " << product << ": " << 100 * share << " % of the plain product's rate");
    CHECK(share >= (op_bytes > 0 ? kLowestWithOp : kLowest));
  }

  void check_all() {
    const auto [name, rows, in, out] = layer_;
    Cuda& device = timing_gpu();
    const TrialBuffer x(device, Dtype::bf16, rows * in), w(device, Dtype::bf16, out * in), b(device, Dtype::bf16, out),
        y(device, Dtype::bf16, rows * out), u_out(device, Dtype::bf16, rows * out),
        u_in(device, Dtype::bf16, rows * in), dx(device, Dtype::bf16, rows * in), dw(device, Dtype::fp32, out * in),
        db(device, Dtype::fp32, std::max(in, out)),
        scratch(device, Dtype::fp32, std::max(column_sum_scratch(rows, in), column_sum_scratch(rows, out)));
    REQUIRE((x && w && b && y && u_out && u_in && dx && dw && db && scratch));
    const LinearWeights<bf16> weights{.compute_weights = w.as<bf16>(), .compute_bias = b.as<bf16>()};
    check("forward", rows, out, in, 0, [&] { linear_.forward(x.as<bf16>(), weights, y.as<bf16>()); });
    check("backward_data", rows, in, out, 0, [&] { linear_.backward_data(y.as<bf16>(), weights, dx.as<bf16>()); });
    check("backward_weights", out, in, rows, 0,
          [&] { linear_.backward_weights(y.as<bf16>(), x.as<bf16>(), dw.as<float>()); });
    check("backward_weights_bias", out, in, rows, 2 * rows * out, [&] {
      linear_.backward_weights_bias(y.as<bf16>(), x.as<bf16>(), dw.as<float>(), db.as<float>(), scratch.as<float>());
    });
    if (out > in)  // fc1
      check("forward_gelu", rows, out, in, 4 * rows * out,
            [&] { linear_.forward_gelu(x.as<bf16>(), weights, u_out.as<bf16>(), y.as<bf16>()); });
    if (in > out)  // fc2
      check("backward_data_gelu", rows, in, out, 6 * rows * in, [&] {
        linear_.backward_data_gelu(y.as<bf16>(), weights, u_in.as<bf16>(), dx.as<bf16>(), db.as<float>(),
                                   scratch.as<float>());
      });
  }

 private:
  Layer layer_;
  Linear<Cuda, bf16> linear_;
};

void check_layers(std::int64_t rows, std::int64_t width) {
  for (const Layer& layer : {Layer{"qkv", rows, width, 3 * width}, Layer{"proj", rows, width, width},
                             Layer{"fc1", rows, width, 4 * width}, Layer{"fc2", rows, 4 * width, width}})
    Rates(layer).check_all();
}

TEST_CASE("Linear reaches the plain product's rate in DiT-XL/2, 32 samples of 256 tokens") {
  check_layers(32 * 256, 1152);
}

TEST_CASE("Linear reaches the plain product's rate at the 20 B model's width, 8 samples of 1024 tokens") {
  check_layers(8 * 1024, 6144);
}

/// Last: what was chosen, for the log.
TEST_CASE("the tuning report can be printed") {
  timing_gpu();
  const std::vector<std::string> lines = matmul_tuning_report();
  for (const std::string& line : lines) std::puts(line.c_str());
  SUCCEED();
}

}  // namespace
}  // namespace gpumonth::ops
