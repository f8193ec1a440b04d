// Attention on a GPU against the CPU's: cuDNN's plans, whole heads on tensor cores, the plain kernels, and recorded graphs.
// To have a plan of cuDNN's built takes 0.3 s, so the quick form has one shape of each kind.
#include "trainer/ops/attention.h"

#include "tests/catch.h"
#include "tests/trainer/cuda/compare.h"
#include "tests/trainer/cuda/gpu.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/cuda/attention_choice.h"
#include "trainer/ops/cuda/attention_cudnn.h"
#include "trainer/ops/cuda/attention_plain.h"
#include "trainer/ops/cuda/attention_whole.h"
#include "trainer/ops/cuda/matmul.h"
#include "trainer/ops/step_graph.h"

namespace gpumonth::ops {
namespace {

using tests::every_shape, tests::gpu, tests::on_gpu, tests::random_values, tests::same_bits, tests::typed;

template <class T>
struct Inputs {
  std::vector<T> qkv, dout;
  explicit Inputs(const AttentionShape& s, float scale = 1)
      : qkv(typed<T>(random_values(s.batch * s.tokens * 3 * s.heads * s.head_dim, 1, scale))),
        dout(typed<T>(random_values(s.batch * s.tokens * s.heads * s.head_dim, 2))) {}
};

template <class T>
struct Results {
  std::vector<T> out, dqkv;
  std::vector<float> log_sum_exp;
};

template <class T>
Results<T> run_on_cpu(const AttentionShape& s, const Inputs<T>& in) {
  Results<T> r{std::vector<T>(in.dout.size()), std::vector<T>(in.qkv.size()),
               std::vector<float>(static_cast<std::size_t>(s.batch * s.heads * s.tokens))};
  Cpu cpu{2};
  Attention<Cpu, T> attention(cpu, s);
  attention.forward(in.qkv.data(), r.out.data(), r.log_sum_exp.data());
  attention.backward(in.qkv.data(), r.out.data(), r.log_sum_exp.data(), in.dout.data(), r.dqkv.data());
  return r;
}

template <class T>
struct OnGpu {
  Buffer<Cuda, T> qkv, dout;
  tests::Output<T> out, dqkv;
  tests::Output<float> log_sum_exp;
  OnGpu(const AttentionShape& s, const Inputs<T>& in)
      : qkv(on_gpu(in.qkv)), dout(on_gpu(in.dout)), out(static_cast<std::int64_t>(in.dout.size())),
        dqkv(static_cast<std::int64_t>(in.qkv.size())), log_sum_exp(s.batch * s.heads * s.tokens) {
    synchronize(gpu());  // other streams read it
  }

  template <class A>
  void forward_and_backward(A& attention) {
    attention.forward(qkv.get(), out.get(), log_sum_exp.get());
    attention.backward(qkv.get(), out.get(), log_sum_exp.get(), dout.get(), dqkv.get());
  }
  Results<T> results() const { return {out.values("out"), dqkv.values("dqkv"), log_sum_exp.values("log_sum_exp")}; }
};

template <class A, class T>
Results<T> run_on_gpu(Cuda& device, A& attention, const AttentionShape& s, const Inputs<T>& in) {
  OnGpu<T> memory(s, in);
  memory.forward_and_backward(attention);
  synchronize(device);
  return memory.results();
}
template <class A, class T>
Results<T> run_on_gpu(Cuda& device, const AttentionShape& s, const Inputs<T>& in) {
  A attention(device, s);
  return run_on_gpu(device, attention, s, in);
}

template <class T>
void same_results(const Results<T>& a, const Results<T>& b) {
  tests::check_same_bits("out", a.out, b.out);
  tests::check_same_bits("log_sum_exp", a.log_sum_exp, b.log_sum_exp);
  tests::check_same_bits("dqkv", a.dqkv, b.dqkv);
}

/// Q's, K's or V's part of dqkv.
template <class T>
std::vector<T> part(const AttentionShape& s, const std::vector<T>& dqkv, std::int64_t which) {
  const std::int64_t width = s.heads * s.head_dim;
  std::vector<T> values;
  for (std::int64_t row = 0; row < s.batch * s.tokens; ++row)
    for (std::int64_t i = 0; i < width; ++i)
      values.push_back(dqkv[static_cast<std::size_t>((row * 3 + which) * width + i)]);
  return values;
}

/// Between CPU and GPU. fp32: both are below 1e-6 from double code; sums of 1024 terms in two orders and two
/// exp to 2 ulp leave ten times less than 1e-5. bf16: one rounding is off by at most 2^-9 of a value, 1.1e-3
/// in the mean square. Each side rounds probabilities, gradients of scores and results: sqrt(6) x 1.1e-3
/// = 2.8e-3. dS = P (dP - D) adds what rounding `out` does to D. 1e-2 is three times that; a wrong stride,
/// scale or token is off by 1e-1 or more. One element of a million may lie far out, as its sum cancels.
template <class T>
constexpr tests::Tolerance kTolerance = sizeof(T) == 4 ? tests::Tolerance{1e-5, 1e-3} : tests::Tolerance{1e-2, 1e-1};
/// Of bf16 against fp32 arithmetic on the same values: one side's roundings.
constexpr tests::Tolerance kToleranceToFp32 = {5e-3, 5e-2};
/// fp32 in both types: sums of exact products.
constexpr tests::Tolerance kLogSumExpTolerance = {2e-5, 1e-4};

template <class T>
void compare(const AttentionShape& s, const Results<T>& got, const Results<T>& expected,
             tests::Tolerance tolerance = kTolerance<T>) {
  tests::check_close("out", got.out, expected.out, tolerance);
  tests::check_close("log_sum_exp", got.log_sum_exp, expected.log_sum_exp, kLogSumExpTolerance);
  tests::check_close("dV", part(s, got.dqkv, 2), part(s, expected.dqkv, 2), tolerance);
  for (std::int64_t which : {0, 1}) {
    const char* name = which == 0 ? "dQ" : "dK";
    if (s.tokens > 1) {
      tests::check_close(name, part(s, got.dqkv, which), part(s, expected.dqkv, which), tolerance);
      continue;
    }
    // One token's score has no gradient: what is left is the rounding of dP - D, of order sqrt(head_dim).
    INFO(name << " of one token");
    const double largest = tolerance.distance < 1e-4 ? 1e-4 : 0.2;
    for (T v : part(s, got.dqkv, which)) REQUIRE(std::abs(double{to_float(v)}) < largest);
  }
}

/// Three heads, so that no stride is another one's double.
template <class F>
void for_each_shape(F&& f) {
  std::vector<AttentionShape> shapes = {{3, 256, 3, 64}, {3, 17, 3, 72}, {1, 300, 3, 72}, {3, 64, 3, 128}};
  if (every_shape()) {
    shapes.clear();
    for (std::int64_t head_dim : {32, 64, 72, 96, 128})
      for (std::int64_t tokens : {1, 17, 64, 256, 300, 1024})
        for (std::int64_t batch : {1, 3}) shapes.push_back({batch, tokens, 3, head_dim});
  }
  for (const AttentionShape& s : shapes) {
    INFO(s.batch << " x " << s.tokens << " tokens, 3 heads of " << s.head_dim);
    f(s);
  }
}

/// The first, or all of them in the long form.
std::vector<std::int64_t> quickly(std::vector<std::int64_t> few, std::vector<std::int64_t> all) {
  return every_shape() ? all : few;
}

/// The deterministic device's twin that times plans and takes the fastest.
Cuda& timing_gpu() {
  gpu();  // ends the program where there is none
  static Cuda device{std::make_shared<CudaContext>(0, false)};
  return device;
}

TEST_CASE("attention in fp32 on the GPU agrees with the CPU's, the same bits twice") {
  gpu();
  for_each_shape([](const AttentionShape& s) {
    const Inputs<float> in(s);
    Attention<Cuda, float> attention(gpu(), s);
    const auto first = run_on_gpu(gpu(), attention, s, in);
    compare(s, first, run_on_cpu(s, in));
    same_results(first, run_on_gpu(gpu(), attention, s, in));
  });
}

TEST_CASE("attention in bf16 on the GPU agrees with the CPU's; deterministic, the same bits twice") {
  gpu();
  for_each_shape([](const AttentionShape& s) {
    const Inputs<bf16> in(s);
    Attention<Cuda, bf16> attention(gpu(), s);
    const auto first = run_on_gpu(gpu(), attention, s, in);
    compare(s, first, run_on_cpu(s, in));
    same_results(first, run_on_gpu(gpu(), attention, s, in));
  });
}

TEST_CASE("a second deterministic attention chooses the same plans") {
  gpu();
  const AttentionShape s{3, 300, 3, 72};
  const Inputs<bf16> in(s);
  same_results(run_on_gpu<Attention<Cuda, bf16>>(gpu(), s, in), run_on_gpu<Attention<Cuda, bf16>>(gpu(), s, in));
}

TEST_CASE("the fastest plans in bf16 agree with the CPU's") {
  gpu();
  for (std::int64_t head_dim : quickly({72}, {64, 72, 128}))
    for (std::int64_t tokens : quickly({256, 300}, {17, 256, 300, 1024})) {
      const AttentionShape s{3, tokens, 3, head_dim};
      INFO("3 x " << tokens << " tokens, 3 heads of " << head_dim);
      const Inputs<bf16> in(s);
      compare(s, run_on_gpu<Attention<Cuda, bf16>>(timing_gpu(), s, in), run_on_cpu(s, in));
    }
}

/// What the kernels for whole heads are called by.
struct WholeHeads {
  AttentionForward forward;
  AttentionBackward backward;
  WholeHeads(Cuda& device, const AttentionShape& s)
      : forward(whole_attention_forward(device, s)), backward(whole_attention_backward(device, s)) {}
};

/// Consumer GPUs give a block 99 KiB of shared memory, where backward takes 146.
bool holds_whole_heads() {
  int bytes = 0;
  cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, gpu().context->ordinal);
  if (bytes >= 163 << 10) return true;
  WARN("this GPU's shared memory is too small for whole heads: nothing to check here");
  return false;
}

std::vector<float> in_fp32(const std::vector<bf16>& values) {
  std::vector<float> result;
  for (bf16 v : values) result.push_back(to_float(v));
  return result;
}

/// The CPU's fp32 attention of the same values.
Results<float> run_in_fp32(const AttentionShape& s, const Inputs<bf16>& in) {
  Inputs<float> exact(s);
  exact.qkv = in_fp32(in.qkv);
  exact.dout = in_fp32(in.dout);
  return run_on_cpu(s, exact);
}

TEST_CASE("whole heads agree with attention in fp32, the same bits twice") {
  if (!holds_whole_heads()) return;
  for (std::int64_t head_dim : {64, 72})
    for (std::int64_t tokens :
         quickly({17, 64, 225, 256}, {1, 8, 16, 31, 32, 33, 64, 65, 96, 100, 129, 200, 225, 255, 256})) {
      const AttentionShape s{2, tokens, 3, head_dim};
      INFO("2 x " << tokens << " tokens, 3 heads of " << head_dim);
      const Inputs<bf16> in(s);
      WholeHeads attention(gpu(), s);
      REQUIRE(attention.forward);
      REQUIRE(attention.backward);
      const auto got = run_on_gpu(gpu(), attention, s, in);
      compare(s, Results<float>{in_fp32(got.out), in_fp32(got.dqkv), got.log_sum_exp}, run_in_fp32(s, in),
              kToleranceToFp32);
      same_results(got, run_on_gpu(gpu(), attention, s, in));
    }
}

TEST_CASE("whole heads: forward alone goes on to longer sequences") {
  if (!holds_whole_heads()) return;
  const AttentionShape s{1, 300, 2, 72};
  const Inputs<bf16> in(s);
  OnGpu<bf16> memory(s, in);
  whole_attention_forward(gpu(), s)(memory.qkv.get(), memory.out.get(), memory.log_sum_exp.get());
  synchronize(gpu());
  const auto expected = run_in_fp32(s, in);
  tests::check_close("out", in_fp32(memory.out.values("out")), expected.out, kToleranceToFp32);
  tests::check_close("log_sum_exp", memory.log_sum_exp.values("log_sum_exp"), expected.log_sum_exp,
                     kLogSumExpTolerance);
}

TEST_CASE("whole heads take what fits into shared memory and registers") {
  if (!holds_whole_heads()) return;
  CHECK_FALSE(whole_attention_forward(gpu(), {1, 256, 1, 80}));
  CHECK_FALSE(whole_attention_backward(gpu(), {1, 256, 1, 80}));
  CHECK(whole_attention_forward(gpu(), {1, 544, 1, 72}));
  CHECK_FALSE(whole_attention_forward(gpu(), {1, 832, 1, 72}));
  CHECK_FALSE(whole_attention_forward(gpu(), {1, 1 << 20, 1, 72}));
  CHECK(whole_attention_backward(gpu(), {1, 256, 1, 72}));
  CHECK_FALSE(whole_attention_backward(gpu(), {1, 257, 1, 72}));
}

TEST_CASE("a deterministic run takes whole heads where it may, and says so") {
  if (!holds_whole_heads()) return;
  const AttentionShape s{2, 96, 2, 72};
  const FusedAttention chosen = fastest_attention(gpu(), s);
  CHECK_THAT(chosen.forward_plan, tests::contains("whole heads"));
  CHECK_THAT(chosen.backward_plan, tests::contains("whole heads"));
  CHECK_THAT(fastest_attention(gpu(), {2, 96, 2, 96}).forward_plan, !tests::contains("whole heads"));
  if (!has_fused_attention()) return;  // without cuDNN there is nothing to choose from
  const std::vector<std::string> report = matmul_tuning_report();
  CHECK(std::count_if(report.begin(), report.end(), [](const std::string& line) {
          return line.find("attention forward, 2 x 96 tokens, 2 heads of 72: whole heads") != std::string::npos;
        }) == 1);
}

TEST_CASE("the plain kernels in bf16 agree with the CPU's, for every width of tile") {
  gpu();
  for (std::int64_t head_dim : {8, 32, 64, 72, 80, 96, 128, 200, 256})
    for (std::int64_t tokens : quickly({1, 67}, {1, 33, 130})) {
      const AttentionShape s{2, tokens, 3, head_dim};
      INFO("2 x " << tokens << " tokens, 3 heads of " << head_dim);
      const Inputs<bf16> in(s);
      compare(s, run_on_gpu<PlainAttention<bf16>>(gpu(), s, in), run_on_cpu(s, in));
    }
}

TEST_CASE("cuDNN takes the shapes of the published models") {
  gpu();
  if (!has_fused_attention()) {
    WARN("built without cuDNN or cudnn-frontend: nothing to check here");
    return;
  }
  for (Cuda* device : {&gpu(), &timing_gpu()})
    for (std::int64_t head_dim : quickly({72}, {64, 72}))
      for (std::int64_t tokens : quickly({1024}, {64, 256, 1024})) {
        const FusedAttention plans = make_fused_attention(*device, {2, tokens, 6, head_dim});
        INFO(tokens << " tokens, heads of " << head_dim << (device == &gpu() ? ", deterministic" : "")
                    << ": forward: " << plans.forward_plan << ", backward: " << plans.backward_plan);
        CHECK(plans.forward);
        CHECK(plans.backward);
      }
}

/// Records forward and backward, then replays them on other inputs.
template <class T>
void check_recorded(bool deterministic, const AttentionShape& s) {
  INFO(sizeof(T) << " bytes per value, " << (deterministic ? "deterministic, " : "") << s.tokens << " tokens");
  Cuda device{std::make_shared<CudaContext>(0, deterministic)};
  Attention<Cuda, T> attention(device, s);
  const Inputs<T> in(s), other(s, 0.5f);
  OnGpu<T> memory(s, in);
  StepGraph<Cuda> graph(device);
  for (int i = 0; i < 8 && !graph.replays(); ++i) {
    graph.run([&] { memory.forward_and_backward(attention); });
    synchronize(device);
  }
  REQUIRE(graph.replays());
  synchronize(device);
  copy_to_device(device, memory.qkv.get(), other.qkv.data(), memory.qkv.bytes());
  graph.run([&] { memory.forward_and_backward(attention); });
  synchronize(device);
  compare(s, memory.results(), run_on_cpu(s, other));
}

TEST_CASE("attention can be recorded and replayed") {
  gpu();
  for (std::int64_t tokens : quickly({300}, {256, 300})) {  // 128 divides one of them
    const AttentionShape s{3, tokens, 3, 72};
    for (bool deterministic : {true, false}) {
      check_recorded<float>(deterministic, s);
      check_recorded<bf16>(deterministic, s);
    }
  }
}

TEST_CASE("a deterministic backward of more than a gibibyte of score gradients goes piece by piece", "[hardware]") {
  gpu();
  if (!every_shape()) return;  // its five plans take seconds
  // 3 x 9216^2 x 2 B = 0.5 GB a sample: two of the four samples fit. A sample alone must give the same.
  const AttentionShape four{4, 9216, 3, 32}, one{1, 9216, 3, 32};
  const Inputs<bf16> in(four);
  const auto all = run_on_gpu<Attention<Cuda, bf16>>(gpu(), four, in);
  for (std::size_t sample = 0; sample < 4; ++sample) {
    const auto slice = [&](const std::vector<bf16>& v) {
      const auto n = static_cast<std::ptrdiff_t>(v.size() / 4), first = static_cast<std::ptrdiff_t>(sample) * n;
      return std::vector<bf16>(v.begin() + first, v.begin() + first + n);
    };
    Inputs<bf16> alone(one);
    alone.qkv = slice(in.qkv);
    alone.dout = slice(in.dout);
    const auto got = run_on_gpu<Attention<Cuda, bf16>>(gpu(), one, alone);
    INFO("sample " << sample);
    tests::check_close("out", slice(all.out), got.out, kTolerance<bf16>);
    tests::check_close("dqkv", slice(all.dqkv), got.dqkv, kTolerance<bf16>);
  }
}

TEST_CASE("scores far apart do not overflow on the GPU") {
  gpu();
  const AttentionShape s{1, 64, 1, 64};
  const Inputs<float> in(s, 20);  // scores of some thousands
  const auto run = run_on_gpu<Attention<Cuda, float>>(gpu(), s, in);
  const auto narrow = run_on_gpu<Attention<Cuda, bf16>>(gpu(), s, Inputs<bf16>(s, 20));
  const auto out = in_fp32(narrow.out), dqkv = in_fp32(narrow.dqkv);
  for (const auto* values : {&run.out, &run.log_sum_exp, &run.dqkv, &out, &narrow.log_sum_exp, &dqkv})
    CHECK(std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }));
}

TEST_CASE("a query far from every key has a finite gradient in bf16") {
  gpu();
  std::vector<Cuda*> devices = {&timing_gpu()};
  if (every_shape()) devices.push_back(&gpu());
  for (Cuda* device : devices)
    for (std::int64_t tokens : quickly({40, 300}, {40, 64, 192, 256, 300})) {  // tiles are full, half full, and neither
      const AttentionShape s{1, tokens, 2, 64};
      INFO(tokens << " tokens" << (device == &gpu() ? ", deterministic" : ""));
      Inputs<bf16> in(s, 0.1f);
      // Every score is near 1 * -960 / sqrt(64) = -120: exp(120) is no float.
      for (std::int64_t row = 0; row < tokens; ++row)
        for (std::int64_t head = 0; head < s.heads; ++head) {
          const std::int64_t at = (row * 3 * s.heads + head) * s.head_dim;
          in.qkv[static_cast<std::size_t>(at)] = from_float<bf16>(1.0f);
          in.qkv[static_cast<std::size_t>(at + s.heads * s.head_dim)] = from_float<bf16>(-960.0f);
        }
      const auto run = run_on_gpu<Attention<Cuda, bf16>>(*device, s, in);
      CHECK(std::all_of(run.log_sum_exp.begin(), run.log_sum_exp.end(),
                        [](float v) { return v < -100 && std::isfinite(v); }));
      for (const auto* values : {&run.out, &run.dqkv})
        CHECK(std::all_of(values->begin(), values->end(), [](bf16 v) { return std::isfinite(to_float(v)); }));
    }
}

TEST_CASE("heads that are too large for the GPU are the user's mistake") {
  CHECK_THROWS_WITH((Attention<Cuda, float>(gpu(), AttentionShape{1, 4, 1, 264})), tests::contains("model.num_heads"));
}

}  // namespace
}  // namespace gpumonth::ops
