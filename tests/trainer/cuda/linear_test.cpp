// Linear<Cuda> against Linear<Cpu>: all six products, each type and layout of the model, fused and not, from
// memory that is not aligned, in a CUDA graph.
#include "trainer/ops/linear.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/catch.h"
#include "tests/trainer/cuda/gpu.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/cuda/matmul.h"

namespace gpumonth::ops {
namespace {

using tests::doubles, tests::Doubles, tests::gpu, tests::on_gpu, tests::on_host, tests::random_values,
    tests::relative_distance, tests::same_bits, tests::typed;

constexpr float kUntouched = -77;

struct Sizes {
  std::int64_t rows, in, out, gap;  // gap: elements between the end of a row of y and the next
  std::int64_t y_stride() const { return out + gap; }
};
// Rows that no tile divides; the patch embedding and the final layer (16 in, 32 out); width 72; one row; an
// odd width, whose rows are aligned to 2 bytes; the conditioning's strided modulation; one large enough for split-K.
constexpr Sizes kSizes[] = {{37, 96, 288, 0}, {512, 16, 384, 0}, {512, 384, 32, 0}, {5, 72, 216, 0},     {1, 72, 24, 0},
                            {130, 97, 33, 0}, {4, 96, 48, 528},  {4, 100, 50, 27},  {2048, 384, 1536, 0}};

/// Operands of one layer in host memory. The bias is exact in bf16, for the CPU reads it in fp32, the GPU in
/// y's type.
template <class T>
struct Operands {
  std::vector<T> x, dy, w_typed, u;
  std::vector<bf16> bias16;
  std::vector<float> w, bias;
  explicit Operands(const Sizes& s)
      : x(typed<T>(random_values(s.rows * s.in, 1))), dy(typed<T>(random_values(s.rows * s.y_stride(), 2))),
        w_typed(typed<T>(random_values(s.out * s.in, 3, 0.2f))), u(typed<T>(random_values(s.rows * s.in, 5))),
        bias16(typed<bf16>(random_values(s.out, 4))) {
    for (const T& v : w_typed) w.push_back(to_float(v));
    for (const bf16& v : bias16) bias.push_back(to_float(v));
  }
};

/// T: of x and dy, Y: of y.
template <class T, class Y>
struct Results {
  std::vector<Y> y, y_gelu, u;  // y strided
  std::vector<T> dx, du;
  std::vector<float> dw, dw_bias, dbias, dbias_gelu;
};

LinearShape shape_of(const Sizes& s, bool packed, bool tf32 = false) {
  return {.rows = s.rows, .in = s.in, .out = s.out, .y_stride = s.y_stride(), .packed = packed, .tf32 = tf32};
}

template <class T, class Y>
constexpr bool kGelu = std::is_same_v<T, Y>;  // forward_gelu's y has the type of x

template <class T, class Y>
Results<T, Y> on_cpu(const Sizes& s, bool packed, const Operands<T>& o) {
  Cpu cpu{2};
  Linear<Cpu, T, Y> linear(cpu, shape_of(s, packed));
  std::vector<std::byte> memory(linear.packed_bytes() + 64);
  if (packed) linear.pack(o.w_typed.data(), memory.data());
  const LinearWeights<T> w{.packed = memory.data(), .master = o.w.data(), .bias = o.bias.data()};
  Results<T, Y> r;
  r.y = typed<Y>(std::vector<float>(s.rows * s.y_stride(), kUntouched));
  r.dx.resize(s.rows * s.in);
  r.du.resize(s.rows * s.in);
  r.dw.resize(s.out * s.in);
  r.dw_bias.resize(s.out * s.in);
  r.dbias.resize(s.out);
  r.dbias_gelu.resize(s.in);
  std::vector<float> scratch(std::max(column_sum_scratch(s.rows, s.out), column_sum_scratch(s.rows, s.in)));
  linear.forward(o.x.data(), w, r.y.data());
  linear.backward_data(o.dy.data(), w, r.dx.data());
  linear.backward_weights(o.dy.data(), o.x.data(), r.dw.data());
  linear.backward_weights_bias(o.dy.data(), o.x.data(), r.dw_bias.data(), r.dbias.data(), scratch.data());
  linear.backward_data_gelu(o.dy.data(), w, o.u.data(), r.du.data(), r.dbias_gelu.data(), scratch.data());
  if (kGelu<T, Y> && s.gap == 0) {
    r.u.resize(s.rows * s.out);
    r.y_gelu.resize(s.rows * s.out);
    linear.forward_gelu(o.x.data(), w, r.u.data(), r.y_gelu.data());
  }
  return r;
}

/// Everything on the GPU. `shift`: elements by which every operand lies behind an aligned address.
template <class T, class Y>
struct OnGpu {
  template <class V>
  static std::vector<V> shifted(std::vector<V> values, std::int64_t shift) {
    values.insert(values.begin(), static_cast<std::size_t>(shift), V{});
    return values;
  }
  template <class V>
  static Buffer<Cuda, V> nans(std::int64_t count) {
    return on_gpu(typed<V>(std::vector<float>(static_cast<std::size_t>(count), NAN)));
  }

  Sizes s;
  std::int64_t shift;
  Linear<Cuda, T, Y> linear;
  Buffer<Cuda, T> x, dy, w_typed, u_in;
  Buffer<Cuda, bf16> bias16;
  Buffer<Cuda, float> w, bias;
  Buffer<Cuda, Y> y, y_gelu, u;
  Buffer<Cuda, T> dx, du;
  Buffer<Cuda, float> dw, dw_bias, dbias, dbias_gelu, scratch;

  OnGpu(Cuda& device, const Sizes& sizes, bool packed, const Operands<T>& o, std::int64_t shift_by = 0,
        bool tf32 = false)
      : s(sizes), shift(shift_by), linear(device, shape_of(sizes, packed, tf32)), x(on_gpu(shifted(o.x, shift))),
        dy(on_gpu(shifted(o.dy, shift))), w_typed(on_gpu(shifted(o.w_typed, shift))), u_in(on_gpu(shifted(o.u, shift))),
        bias16(on_gpu(shifted(o.bias16, shift))), w(on_gpu(shifted(o.w, shift))), bias(on_gpu(shifted(o.bias, shift))),
        y(on_gpu(typed<Y>(std::vector<float>(static_cast<std::size_t>(shift + s.rows * s.y_stride()), kUntouched)))),
        y_gelu(nans<Y>(shift + s.rows * s.out)), u(nans<Y>(shift + s.rows * s.out)), dx(nans<T>(shift + s.rows * s.in)),
        du(nans<T>(shift + s.rows * s.in)), dw(nans<float>(shift + s.out * s.in)),
        dw_bias(nans<float>(shift + s.out * s.in)), dbias(nans<float>(shift + s.out)),
        dbias_gelu(nans<float>(shift + s.in)),
        scratch(gpu(), std::max(column_sum_scratch(s.rows, s.out), column_sum_scratch(s.rows, s.in))) {
    CHECK(linear.packed_bytes() == 0);
    synchronize(gpu());  // the copies went by its stream, the products may go by another
  }

  /// As Dit gives them: compute_weights is what `packed` layers read, and in fp32 both are the same values.
  LinearWeights<T> weights() const {
    const T* compute_bias = nullptr;
    if constexpr (sizeof(T) == 2) {
      compute_bias = bias16.get() + shift;
    } else {
      compute_bias = bias.get() + shift;
    }
    return {.master = w.get() + shift,
            .bias = bias.get() + shift,
            .compute_weights = w_typed.get() + shift,
            .compute_bias = compute_bias};
  }

  bool has_gelu() const { return kGelu<T, Y> && s.gap == 0; }

  void enqueue() {
    linear.forward(x.get() + shift, weights(), y.get() + shift);
    if (has_gelu()) linear.forward_gelu(x.get() + shift, weights(), u.get() + shift, y_gelu.get() + shift);
    linear.backward_data(dy.get() + shift, weights(), dx.get() + shift);
    linear.backward_data_gelu(dy.get() + shift, weights(), u_in.get() + shift, du.get() + shift,
                              dbias_gelu.get() + shift, scratch.get());
    linear.backward_weights(dy.get() + shift, x.get() + shift, dw.get() + shift);
    linear.backward_weights_bias(dy.get() + shift, x.get() + shift, dw_bias.get() + shift, dbias.get() + shift,
                                 scratch.get());
  }

  template <class V>
  std::vector<V> fetched(const Buffer<Cuda, V>& buffer) const {
    std::vector<V> values = on_host(buffer);
    values.erase(values.begin(), values.begin() + shift);
    return values;
  }
  Results<T, Y> results() const {
    Results<T, Y> r;
    r.y = fetched(y);
    if (has_gelu()) {
      r.y_gelu = fetched(y_gelu);
      r.u = fetched(u);
    }
    r.dx = fetched(dx);
    r.du = fetched(du);
    r.dw = fetched(dw);
    r.dw_bias = fetched(dw_bias);
    r.dbias = fetched(dbias);
    r.dbias_gelu = fetched(dbias_gelu);
    return r;
  }
};

/// The columns of y without the gaps.
template <class V>
Doubles dense(const Sizes& s, const std::vector<V>& strided) {
  Doubles result;
  for (std::int64_t r = 0; r < s.rows; ++r)
    for (std::int64_t o = 0; o < s.out; ++o) result.push_back(double{to_float(strided[r * s.y_stride() + o])});
  return result;
}

/// Sums of a few thousand products in another order; twice what a rounding to bf16 makes.
template <class V>
constexpr double tolerance() {
  return sizeof(V) == 2 ? 5e-3 : 1e-5;
}

template <class T, class Y>
void compare(const Sizes& s, const Results<T, Y>& got, const Results<T, Y>& expected) {
  {
    INFO("forward");
    CHECK(relative_distance(dense(s, got.y), dense(s, expected.y)) < tolerance<Y>());
    bool gaps_untouched = true;
    for (std::int64_t r = 0; r < s.rows; ++r)
      for (std::int64_t g = s.out; g < s.y_stride(); ++g)
        gaps_untouched = gaps_untouched && to_float(got.y[r * s.y_stride() + g]) == kUntouched;
    CHECK(gaps_untouched);
  }
  {
    INFO("backward_data");
    CHECK(relative_distance(doubles(got.dx), doubles(expected.dx)) < tolerance<T>());
  }
  {
    INFO("backward_weights");
    CHECK(relative_distance(got.dw, expected.dw) < tolerance<float>());
  }
  {
    INFO("backward_weights_bias");
    CHECK(relative_distance(got.dw_bias, expected.dw_bias) < tolerance<float>());
    CHECK(relative_distance(got.dbias, expected.dbias) < tolerance<float>());
  }
  {
    INFO("backward_data_gelu");  // twice the tolerance: the CPU rounds dy W to T, then du; the GPU du alone
    CHECK(relative_distance(doubles(got.du), doubles(expected.du)) < 2 * tolerance<T>());
    CHECK(relative_distance(got.dbias_gelu, expected.dbias_gelu) < 2 * tolerance<T>());
  }
  if (!expected.u.empty()) {
    INFO("forward_gelu");
    CHECK(relative_distance(doubles(got.u), doubles(expected.u)) < tolerance<Y>());  // before the GELU
    CHECK(relative_distance(doubles(got.y_gelu), doubles(expected.y_gelu)) < 2 * tolerance<Y>());
  }
}

template <class T, class Y>
void check(Cuda& device, const Sizes& s, bool packed, std::int64_t shift = 0) {
  INFO(s.rows << " x " << s.in << " -> " << s.out << ", gap " << s.gap << ", shift " << shift << ", "
              << (sizeof(T) == 2 ? "bf16" : "fp32") << (packed ? "" : ", reads the master weights"));
  const Operands<T> operands(s);
  OnGpu<T, Y> run(device, s, packed, operands, shift);
  run.enqueue();
  synchronize(device);
  compare(s, run.results(), on_cpu<T, Y>(s, packed, operands));
}

/// A context that may choose by time; the tests' own is deterministic.
Cuda& timing_gpu() {
  gpu();  // ends the program where there is none
  static Cuda device{std::make_shared<CudaContext>(0, false)};
  return device;
}

TEST_CASE("Linear on the GPU is Linear on the CPU, algorithms not timed") {
  for (const Sizes& s : kSizes) {
    check<float, float>(gpu(), s, true);
    check<float, float>(gpu(), s, false);
    check<bf16, bf16>(gpu(), s, true);
    check<bf16, float>(gpu(), s, true);
  }
}

TEST_CASE("Linear on the GPU is Linear on the CPU, with the fastest algorithms") {
  for (const Sizes& s : kSizes) {
    check<float, float>(timing_gpu(), s, true);
    check<float, float>(timing_gpu(), s, false);
    check<bf16, bf16>(timing_gpu(), s, true);
    check<bf16, float>(timing_gpu(), s, true);
  }
}

// Operands rounded to 10 bits, each to 2e-4 of itself on average, so sums to 3e-4; cut off instead of rounded, twice that.
// The modulations of a block and of all, in rows far apart, and shapes that nothing divides.
TEST_CASE("Linear in TF32 is the CPU's in fp32, but for what TF32 rounds") {
  constexpr double kTf32 = 1e-3;
  for (const Sizes& s : {Sizes{16, 96, 288, 528}, Sizes{16, 96, 816, 0}, Sizes{5, 37, 33, 27}}) {
    INFO(s.rows << " x " << s.in << " -> " << s.out);
    const Operands<float> operands(s);
    const Results<float, float> exact = on_cpu<float, float>(s, false, operands);
    for (Cuda* device : {&gpu(), &timing_gpu()}) {
      OnGpu<float, float> run(*device, s, false, operands, 0, true);
      run.enqueue();
      synchronize(*device);
      const Results<float, float> got = run.results();
      CHECK(relative_distance(dense(s, got.y), dense(s, exact.y)) < kTf32);
      CHECK(relative_distance(got.dx, exact.dx) < kTf32);
      CHECK(relative_distance(got.dw, exact.dw) < kTf32);
      CHECK(relative_distance(got.dw_bias, exact.dw_bias) < kTf32);
      CHECK(relative_distance(got.dbias, exact.dbias) < tolerance<float>());  // sums, no products
    }
  }
  const std::vector<std::string> report = matmul_tuning_report();
  for (const char* product :
       {"16x288x96 tf32 -> fp32, A B^T", "16x96x288 tf32 -> fp32, A B", "288x96x16 tf32 -> fp32, A^T B"})
    CHECK(std::any_of(report.begin(), report.end(),
                      [product](const std::string& line) { return line.find(product) != std::string::npos; }));
}

TEST_CASE("Linear reads and writes memory that is aligned to one element only") {
  for (const Sizes& s : {kSizes[0], kSizes[5]}) {  // 16-byte rows, odd rows
    check<float, float>(gpu(), s, true, 1);
    check<float, float>(gpu(), s, false, 1);
    check<bf16, float>(gpu(), s, true, 1);
  }
}

TEST_CASE("Linear repeats itself bit for bit in a deterministic context") {
  const Sizes s{2048, 384, 1536, 0};
  const Operands<bf16> operands(s);
  OnGpu<bf16, bf16> first(gpu(), s, true, operands), second(gpu(), s, true, operands);
  first.enqueue();
  const Results<bf16, bf16> a = first.results();
  for (int i = 0; i < 5; ++i) {
    OnGpu<bf16, bf16>& again = i % 2 ? first : second;
    again.enqueue();
    const Results<bf16, bf16> b = again.results();
    CHECK(same_bits(a.y, b.y));
    CHECK(same_bits(a.u, b.u));
    CHECK(same_bits(a.y_gelu, b.y_gelu));
    CHECK(same_bits(a.dx, b.dx));
    CHECK(same_bits(a.du, b.du));
    CHECK(same_bits(a.dw, b.dw));
    CHECK(same_bits(a.dw_bias, b.dw_bias));
    CHECK(same_bits(a.dbias, b.dbias));
    CHECK(same_bits(a.dbias_gelu, b.dbias_gelu));
  }
}

template <class T>
void check_in_a_graph(const Sizes& s) {
  const Operands<T> operands(s);
  OnGpu<T, T> run(gpu(), s, true, operands);
  run.enqueue();  // as StepGraph does: the first call is not recorded
  const Results<T, T> called = run.results();
  const cudaStream_t stream = stream_of(gpu());
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  GPUMONTH_CUDA(cudaStreamBeginCapture, stream, cudaStreamCaptureModeThreadLocal);
  run.enqueue();  // allocating or waiting here would fail
  GPUMONTH_CUDA(cudaStreamEndCapture, stream, &graph);
  GPUMONTH_CUDA(cudaGraphInstantiate, &executable, graph, 0);
  const std::vector<T> nothing(run.dx.size());
  const std::vector<float> no_gradient(run.dw.size());
  copy_to_device(gpu(), run.dx.get(), nothing.data(), run.dx.bytes());
  copy_to_device(gpu(), run.dw.get(), no_gradient.data(), run.dw.bytes());
  GPUMONTH_CUDA(cudaGraphLaunch, executable, stream);
  const Results<T, T> replayed = run.results();
  CHECK(same_bits(called.y_gelu, replayed.y_gelu));
  CHECK(same_bits(called.dx, replayed.dx));
  CHECK(same_bits(called.dw, replayed.dw));
  CHECK(same_bits(called.dbias, replayed.dbias));
  CHECK(same_bits(called.dbias_gelu, replayed.dbias_gelu));
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
}

TEST_CASE("Linear can be recorded in a CUDA graph") {
  check_in_a_graph<float>({130, 96, 288, 0});
  check_in_a_graph<bf16>({2048, 384, 1536, 0});
}

TEST_CASE("equal shapes are tuned once, and the report has a line for each product", "[fused]") {
  const LinearShape shape{.rows = 640, .in = 256, .out = 768};
  const Linear<Cuda, bf16> first(timing_gpu(), shape);
  const std::vector<std::string> after_first = matmul_tuning_report();
  const Linear<Cuda, bf16> second(timing_gpu(), shape);
  CHECK(matmul_tuning_report() == after_first);
  for (const char* product : {"640x768x256 bf16 -> bf16, A B^T, bias", "640x256x768 bf16 -> bf16, A B, no epilogue",
                              "768x256x640 bf16 -> fp32, A^T B, no epilogue"}) {
    INFO(product);
    const auto line = std::find_if(after_first.begin(), after_first.end(), [product](const std::string& text) {
      return text.find(product) != std::string::npos;
    });
    REQUIRE(line != after_first.end());
    REQUIRE_THAT(*line, tests::contains("TFLOP/s"));
    REQUIRE_THAT(*line, tests::contains("algorithm"));
  }
}

TEST_CASE("fused products agree with the separate ops wherever cuBLASLt has them") {
  timing_gpu();
  const Sizes s{2048, 384, 1536, 0};
  const Linear<Cuda, bf16> linear(timing_gpu(), shape_of(s, true));
  for (const std::string& line : matmul_tuning_report()) {
    INFO(line);  // a fallback hides it from the other tests
    CHECK(line.find("WRONG") == std::string::npos);
  }
}

TEST_CASE("the measured matrix product rate is one that a GPU can have", "[hardware]") {
  const double rate = matmul_flops_per_s(timing_gpu(), 4096, 4096, 4096, Dtype::bf16);
  std::printf("4096 x 4096 x 4096 in bf16: %.1f TFLOP/s\n", 1e-12 * rate);
  CHECK(rate > 1e13);
  CHECK(rate < 1e16);
  CHECK(matmul_flops_per_s(timing_gpu(), 4096, 4096, 4096, Dtype::fp32) < rate);
}

}  // namespace
}  // namespace gpumonth::ops
