// Gated residual, LayerNorm and modulation, forward and backward, against the CPU.
#include "trainer/ops/residual_norm.h"

#include "tests/trainer/cuda/compare.h"

namespace gpumonth::ops {
namespace {

using tests::check_close, tests::check_same_bits, tests::gpu, tests::on_gpu, tests::Output, tests::random_values,
    tests::typed;

constexpr float kUntouched = 77;
enum Chunk { kShift, kScale, kGate };  // of the modulation, h columns each

struct Case {
  ResidualNormShape shape;
  bool with_branch, first;
  std::int64_t values() const { return shape.batch * shape.tokens * shape.width; }
};

template <class T>
struct Inputs {
  explicit Inputs(const Case& c)
      : x_in(random_values(c.values(), 1)),
        modulation(random_values(c.shape.batch * c.shape.modulation_stride, 2, 0.5f)),
        dx_later(random_values(c.values(), 3)), branch(typed<T>(random_values(c.values(), 4))),
        dy(typed<T>(random_values(c.values(), 5))) {
    // A first dx is what lies in the memory; it must not be read.
    if (c.first) dx_later.assign(dx_later.size(), tests::not_a_number<float>());
  }
  std::vector<float> x_in, modulation, dx_later;
  std::vector<T> branch, dy;
};

template <class T>
struct Forward {
  std::vector<float> x_out, mean, rstd;
  std::vector<T> y;
};

template <class T>
struct Backward {
  std::vector<float> dx, d_modulation, dbias;
  std::vector<T> dbranch;
};

template <class Device, class T>
void run_forward(Device& device, const Case& c, const float* x_in, const float* modulation, const T* branch,
                 float* x_out, float* mean, float* rstd, T* y) {
  const std::int64_t h = c.shape.width;
  residual_norm_forward(device, c.shape,
                        ResidualNormForward<T>{.x_in = x_in,
                                               .branch = c.with_branch ? branch : nullptr,
                                               .gate = c.with_branch ? modulation + kGate * h : nullptr,
                                               .scale = modulation + kScale * h,
                                               .shift = modulation + kShift * h,
                                               .x_out = c.with_branch ? x_out : nullptr,
                                               .y = y,
                                               .mean = mean,
                                               .rstd = rstd});
}

template <class Device, class T>
void run_backward(Device& device, const Case& c, const float* modulation, const T* branch, const T* dy, const float* x,
                  const float* mean, const float* rstd, float* dx, float* d_modulation, float* dbias, T* dbranch,
                  float* scratch) {
  const std::int64_t h = c.shape.width;
  residual_norm_backward(device, c.shape,
                         ResidualNormBackward<T>{.dy = dy,
                                                 .dx = dx,
                                                 .first = c.first,
                                                 .x = x,
                                                 .mean = mean,
                                                 .rstd = rstd,
                                                 .scale = modulation + kScale * h,
                                                 .dscale = d_modulation + kScale * h,
                                                 .dshift = d_modulation + kShift * h,
                                                 .branch = c.with_branch ? branch : nullptr,
                                                 .gate = c.with_branch ? modulation + kGate * h : nullptr,
                                                 .dbranch = c.with_branch ? dbranch : nullptr,
                                                 .dgate = c.with_branch ? d_modulation + kGate * h : nullptr,
                                                 .dbranch_bias = c.with_branch ? dbias : nullptr},
                         scratch);
}

std::size_t rows_of(const Case& c) { return static_cast<std::size_t>(c.shape.batch * c.shape.tokens); }

template <class T>
Forward<T> forward_on_cpu(const Case& c, const Inputs<T>& in) {
  Cpu cpu{2};
  Forward<T> f{in.x_in, std::vector<float>(rows_of(c)), std::vector<float>(rows_of(c)), std::vector<T>(in.dy.size())};
  run_forward(cpu, c, in.x_in.data(), in.modulation.data(), in.branch.data(), f.x_out.data(), f.mean.data(),
              f.rstd.data(), f.y.data());
  return f;
}

template <class T>
Forward<T> forward_on_cuda(const Case& c, const Inputs<T>& in) {
  const auto x_in = on_gpu(in.x_in), modulation = on_gpu(in.modulation);
  const auto branch = on_gpu(in.branch);
  const Output<float> x_out(c.values()), mean(c.shape.batch * c.shape.tokens), rstd(c.shape.batch * c.shape.tokens);
  const Output<T> y(c.values());
  run_forward(gpu(), c, x_in.get(), modulation.get(), static_cast<const T*>(branch.get()), x_out.get(), mean.get(),
              rstd.get(), y.get());
  return {c.with_branch ? x_out.values("x_out") : in.x_in, mean.values("mean"), rstd.values("rstd"), y.values("y")};
}

template <class T>
Backward<T> backward_on_cpu(const Case& c, const Inputs<T>& in, const Forward<T>& f) {
  Cpu cpu{2};
  Backward<T> b{in.dx_later, std::vector<float>(in.modulation.size(), kUntouched),
                std::vector<float>(static_cast<std::size_t>(c.shape.width)), std::vector<T>(in.dy.size())};
  std::vector<float> scratch(static_cast<std::size_t>(residual_norm_scratch(c.shape)));
  run_backward(cpu, c, in.modulation.data(), in.branch.data(), in.dy.data(), f.x_out.data(), f.mean.data(),
               f.rstd.data(), b.dx.data(), b.d_modulation.data(), b.dbias.data(), b.dbranch.data(), scratch.data());
  return b;
}

/// From the CPU's forward results, so that a wrong forward pass is not blamed on the backward pass.
template <class T>
Backward<T> backward_on_cuda(const Case& c, const Inputs<T>& in, const Forward<T>& f) {
  const auto modulation = on_gpu(in.modulation), x = on_gpu(f.x_out), mean = on_gpu(f.mean), rstd = on_gpu(f.rstd);
  const auto branch = on_gpu(in.branch), dy = on_gpu(in.dy);
  const Output<float> dx(in.dx_later), d_modulation(std::vector<float>(in.modulation.size(), kUntouched)),
      dbias(c.shape.width), scratch(residual_norm_scratch(c.shape));
  const Output<T> dbranch(c.values());
  run_backward(gpu(), c, modulation.get(), static_cast<const T*>(branch.get()), static_cast<const T*>(dy.get()),
               x.get(), mean.get(), rstd.get(), dx.get(), d_modulation.get(), dbias.get(), dbranch.get(),
               scratch.get());
  scratch.values("scratch");
  return {dx.values("dx"), d_modulation.values("d_modulation"), dbias.values("dbias"), dbranch.values("dbranch")};
}

/// (B, h) of one chunk, without what lies between.
std::vector<float> chunk_of(const Case& c, const std::vector<float>& matrix, int which) {
  std::vector<float> values;
  for (std::int64_t b = 0; b < c.shape.batch; ++b)
    for (std::int64_t i = 0; i < c.shape.width; ++i)
      values.push_back(matrix[static_cast<std::size_t>(b * c.shape.modulation_stride + which * c.shape.width + i)]);
  return values;
}

/// Other modulations' gradients are other calls' business.
bool untouched_between(const Case& c, const std::vector<float>& matrix) {
  const std::int64_t own = (c.with_branch ? 3 : 2) * c.shape.width;
  bool intact = true;
  for (std::size_t i = 0; i < matrix.size(); ++i)
    if (static_cast<std::int64_t>(i) % c.shape.modulation_stride >= own) intact &= matrix[i] == kUntouched;
  return intact;
}

template <class T>
void check_case(const Case& c) {
  INFO(c.shape.batch << " x " << c.shape.tokens << " x " << c.shape.width << ", stride " << c.shape.modulation_stride
                     << (c.with_branch ? ", branch" : "") << (c.first ? ", first" : ""));
  const Inputs<T> in(c);
  const Forward<T> f = forward_on_cpu(c, in), got = forward_on_cuda(c, in), again = forward_on_cuda(c, in);
  check_close("x_out", got.x_out, f.x_out, tests::kFp32Tolerance);
  check_close("mean", got.mean, f.mean, tests::kSumTolerance);
  check_close("rstd", got.rstd, f.rstd, tests::kSumTolerance);
  check_close("y", got.y, f.y, sizeof(T) == 2 ? tests::kBf16Tolerance : tests::kSumTolerance);
  check_same_bits("y", got.y, again.y);
  check_same_bits("x_out", got.x_out, again.x_out);

  const Backward<T> expected = backward_on_cpu(c, in, f), b = backward_on_cuda(c, in, f),
                    b_again = backward_on_cuda(c, in, f);
  check_close("dx", b.dx, expected.dx, tests::kSumTolerance);
  check_close("dshift", chunk_of(c, b.d_modulation, kShift), chunk_of(c, expected.d_modulation, kShift),
              tests::kSumTolerance);
  check_close("dscale", chunk_of(c, b.d_modulation, kScale), chunk_of(c, expected.d_modulation, kScale),
              tests::kSumTolerance);
  CHECK(untouched_between(c, b.d_modulation));
  check_same_bits("dx", b.dx, b_again.dx);
  check_same_bits("d_modulation", b.d_modulation, b_again.d_modulation);
  if (!c.with_branch) return;
  check_close("dgate", chunk_of(c, b.d_modulation, kGate), chunk_of(c, expected.d_modulation, kGate),
              tests::kSumTolerance);
  check_close("dbranch_bias", b.dbias, expected.dbias, tests::kSumTolerance);
  check_close("dbranch", b.dbranch, expected.dbranch, sizeof(T) == 2 ? tests::kBf16Tolerance : tests::kSumTolerance);
  check_same_bits("dbranch", b.dbranch, b_again.dbranch);
  check_same_bits("dbranch_bias", b.dbias, b_again.dbias);
}

template <class T>
void check(std::int64_t width, std::int64_t gap = 0) {
  for (const std::int64_t batch : {1, 3})
    for (const std::int64_t tokens : {1, 17, 256})
      for (const bool with_branch : {true, false})
        for (const bool first : {true, false})
          check_case<T>({{batch, tokens, width, 3 * width + gap}, with_branch, first});
}

// 72, 384, 768: one vector or a few a thread; 1152: nine; 1600: two warps a row; 6144 and 8192: four and six.
TEST_CASE("cuda residual_norm in fp32 against the CPU") {
  gpu();
  for (const std::int64_t width : {72, 384, 768, 1152, 1600, 6144}) check<float>(width);
}

TEST_CASE("cuda residual_norm in bf16 against the CPU") {
  gpu();
  for (const std::int64_t width : {72, 384, 768, 1152, 1600, 6144}) check<bf16>(width);
}

TEST_CASE("cuda residual_norm: widths and strides that vectors do not divide") {
  gpu();
  for (const std::int64_t width : {5, 37, 385, 1153}) check<float>(width);
  for (const std::int64_t width : {37, 385, 1153}) check<bf16>(width);
  check<bf16>(72, 2);
}

TEST_CASE("cuda residual_norm: the widest rows, and a message beyond") {
  gpu();
  check_case<bf16>({{2, 40, 8192, 3 * 8192}, true, false});
  check_case<bf16>({{1, 3, 12288, 3 * 12288}, true, false});
  check_case<float>({{1, 3, 12288, 3 * 12288}, false, true});
  const Case wide{{1, 1, 12296, 3 * 12296}, false, true};
  CHECK_THROWS_AS(forward_on_cuda(wide, Inputs<float>(wide)), CudaError);
}

}  // namespace
}  // namespace gpumonth::ops
