// What the parts of one training step cost on this machine, each op alone on the shapes of a model:
//   bench_step_parts MODEL.toml BATCH fp32|bf16 THREADS [PART]
// times the parts whose names hold PART, all by default, prints milliseconds per step (calls x median of one call), the rate of the products, and their share of the GEMM
// rate measured in the same run. One thread is timed in processor time, so a busy machine disturbs it less.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/flops.h"
#include "model/parameters.h"
#include "trainer/dit/dit_activations.h"
#include "trainer/gemm_peak.h"
#include "trainer/ops/adamw.h"
#include "trainer/ops/attention.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/column_sum.h"
#include "trainer/ops/gelu.h"
#include "trainer/ops/grad_norm.h"
#include "trainer/ops/linear.h"
#include "trainer/ops/residual_norm.h"

namespace {

using namespace gpumonth;

double now_s(bool processor_time) {
  if (!processor_time)
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

class Table {
 public:
  Table(bool processor_time, double peak, std::string only)
      : processor_time_(processor_time), peak_(peak), only_(std::move(only)) {
    fmt::print("{:<28}{:>7}{:>12}{:>12}{:>14}{:>8}\n", "part", "calls", "ms/call", "ms/step", "GFLOP/s", "GEMM %");
  }
  void add(const std::string& name, std::int64_t calls, double flops, const std::function<void()>& f) {
    if (name.find(only_) == std::string::npos) return;
    for (int i = 0; i < 2; ++i) f();
    std::vector<double> times;
    for (int i = 0; i < 15; ++i) {
      const double begin = now_s(processor_time_);
      f();
      times.push_back(now_s(processor_time_) - begin);
    }
    std::nth_element(times.begin(), times.begin() + 7, times.end());
    const double s = times[7];
    total_s_ += s * static_cast<double>(calls);
    fmt::print("{:<28}{:>7}{:>12.3f}{:>12.2f}", name, calls, s * 1e3, s * 1e3 * static_cast<double>(calls));
    if (flops > 0) fmt::print("{:>14.1f}{:>8.1f}", flops / s / 1e9, 100 * flops / s / peak_);
    fmt::print("\n");
  }
  double total_s() const { return total_s_; }

 private:
  bool processor_time_;
  double peak_, total_s_ = 0;
  std::string only_;
};

template <class T>
void linear(Table& table, ops::Cpu& cpu, const std::string& name, const trainer::DitShape& s, std::int64_t in,
            std::int64_t out) {
  ops::Linear<ops::Cpu, T> layer(cpu, {.rows = s.rows, .in = in, .out = out});
  ops::Buffer<ops::Cpu, T> x(cpu, s.rows * in), y(cpu, s.rows * out), typed(cpu, in * out);
  ops::Buffer<ops::Cpu, float> w(cpu, in * out), b(cpu, out);
  ops::Buffer<ops::Cpu, std::byte> packed(cpu, static_cast<std::int64_t>(layer.packed_bytes()));
  const ops::LinearWeights<T> weights{.packed = packed.get(), .master = w.get(), .bias = b.get()};
  const double flops = 2.0 * static_cast<double>(s.rows) * static_cast<double>(in) * static_cast<double>(out);
  table.add(name + " forward", s.depth, flops, [&] { layer.forward(x.get(), weights, y.get()); });
  table.add(name + " backward data", s.depth, flops, [&] { layer.backward_data(y.get(), weights, x.get()); });
  table.add(name + " backward weights", s.depth, flops, [&] { layer.backward_weights(y.get(), x.get(), w.get()); });
  table.add(name + " pack", s.depth, 0, [&] { layer.pack(typed.get(), packed.get()); });
}

template <class T>
void parts(Table& table, ops::Cpu& cpu, const model::ModelConfig& m, const trainer::DitShape& s) {
  linear<T>(table, cpu, "qkv", s, s.h, 3 * s.h);
  linear<T>(table, cpu, "proj", s, s.h, s.h);
  linear<T>(table, cpu, "fc1", s, s.h, s.mlp);
  linear<T>(table, cpu, "fc2", s, s.mlp, s.h);

  ops::Attention<ops::Cpu, T> attention(cpu, {s.batch, s.tokens, s.heads, m.head_dim()});
  ops::Buffer<ops::Cpu, T> qkv(cpu, s.rows * 3 * s.h), dqkv(cpu, s.rows * 3 * s.h), o(cpu, s.rows * s.h),
      go(cpu, s.rows * s.h);
  ops::Buffer<ops::Cpu, float> lse(cpu, s.rows * s.heads);
  const double products = 4.0 * static_cast<double>(s.rows) * static_cast<double>(s.tokens * s.h);
  table.add("attention forward", s.depth, products, [&] { attention.forward(qkv.get(), o.get(), lse.get()); });
  table.add("attention backward", s.depth, 2 * products,
            [&] { attention.backward(qkv.get(), o.get(), lse.get(), go.get(), dqkv.get()); });

  ops::Buffer<ops::Cpu, T> u(cpu, s.rows * s.mlp), g(cpu, s.rows * s.mlp);
  ops::Buffer<ops::Cpu, float> bias(cpu, std::max(s.mlp, 3 * s.h)),
      scratch(cpu, std::max({ops::column_sum_scratch(s.rows, s.mlp), ops::residual_norm_scratch(s.norm())}));
  table.add("gelu forward", s.depth, 0, [&] { ops::gelu_forward(cpu, s.rows * s.mlp, u.get(), g.get()); });
  table.add("gelu backward + bias", s.depth, 0,
            [&] { ops::gelu_backward(cpu, s.rows, s.mlp, u.get(), g.get(), bias.get(), scratch.get()); });
  table.add("qkv bias", s.depth, 0,
            [&] { ops::column_sum(cpu, s.rows, 3 * s.h, 3 * s.h, dqkv.get(), bias.get(), scratch.get()); });

  ops::Buffer<ops::Cpu, float> x(cpu, s.rows * s.h), x2(cpu, s.rows * s.h), dx(cpu, s.rows * s.h), mean(cpu, s.rows),
      rstd(cpu, s.rows);
  ops::Buffer<ops::Cpu, float> mod(cpu, s.batch * s.modulations), dmod(cpu, s.batch * s.modulations);
  table.add("residual norm forward", 2 * s.depth + 1, 0, [&] {
    ops::residual_norm_forward(cpu, s.norm(),
                               ops::ResidualNormForward<T>{x.get(), o.get(), mod.get(), mod.get() + s.h, mod.get(),
                                                           x2.get(), go.get(), mean.get(), rstd.get()});
  });
  table.add("residual norm backward", 2 * s.depth + 1, 0, [&] {
    ops::residual_norm_backward(
        cpu, s.norm(),
        ops::ResidualNormBackward<T>{go.get(), dx.get(), true, x.get(), mean.get(), rstd.get(), mod.get(), dmod.get(),
                                     dmod.get() + s.h, o.get(), mod.get(), go.get(), dmod.get() + 2 * s.h, bias.get()},
        scratch.get());
  });

  ops::Linear<ops::Cpu, float> adaln(cpu, {.rows = s.batch, .in = s.h, .out = s.modulations, .packed = false});
  ops::Linear<ops::Cpu, float> adaln_block(
      cpu, {.rows = s.batch, .in = s.h, .out = 6 * s.h, .y_stride = s.modulations, .packed = false});
  ops::Buffer<ops::Cpu, float> w(cpu, s.h * s.modulations), b(cpu, s.modulations), c(cpu, s.batch * s.h);
  const ops::LinearWeights<float> adaln_weights{.master = w.get(), .bias = b.get()};
  table.add("adaLN forward", 1, 0, [&] { adaln.forward(c.get(), adaln_weights, mod.get()); });
  table.add("adaLN backward data", 1, 0, [&] { adaln.backward_data(dmod.get(), adaln_weights, c.get()); });
  table.add("adaLN backward weights", s.depth, 0, [&] { adaln_block.backward_weights(dmod.get(), c.get(), w.get()); });

  const std::int64_t n = model::ParameterTable(m).flat_size();
  ops::Buffer<ops::Cpu, float> p(cpu, n), grad(cpu, n), m1(cpu, n), m2(cpu, n), ema(cpu, n);
  ops::Buffer<ops::Cpu, T> rounded(cpu, n);
  ops::Buffer<ops::Cpu, double> sums(cpu, ops::norm_blocks(n));
  table.add("gradient norm", 1, 0,
            [&] { ops::squares_by_block(cpu, grad.get(), n, 0, ops::norm_blocks(n), sums.get()); });
  const ops::AdamWStep step = ops::adamw_step({}, 1);
  const ops::Clipping clipping;
  ops::bf16* typed = nullptr;
  if constexpr (!std::is_same_v<T, float>) typed = rounded.get();
  table.add("AdamW + EMA", 1, 0,
            [&] { ops::adamw(cpu, &step, &clipping, n, grad.get(), p.get(), m1.get(), m2.get(), ema.get(), typed); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    fmt::print(stderr, "usage: bench_step_parts MODEL.toml BATCH fp32|bf16 THREADS [PART]\n");
    return 2;
  }
  const model::ModelConfig m = model::load_model(argv[1]);
  const trainer::DitShape shape(m, std::stoll(argv[2]));
  const std::string dtype = argv[3];
  ops::Cpu cpu{std::stoi(argv[4])};
  const trainer::GemmPeak peak = trainer::measure_gemm_peak(dtype, cpu.threads);
  fmt::print("{} x {} tokens, width {}, {}, {} threads; GEMM rate {:.1f} GFLOP/s ({})\n", shape.batch, shape.tokens,
             shape.h, dtype, cpu.threads, peak.flops_per_s / 1e9, peak.shape);
  Table table(cpu.threads == 1, peak.flops_per_s, argc == 6 ? argv[5] : "");
  dtype == "bf16" ? parts<ops::bf16>(table, cpu, m, shape) : parts<float>(table, cpu, m, shape);
  if (argc == 6) return 0;
  const double flops = static_cast<double>(model::train_flops(m)) * static_cast<double>(shape.batch);
  fmt::print("sum of the parts {:.1f} ms/step = {:.1f} model GFLOP/s = {:.1f} % of the GEMM rate\n",
             table.total_s() * 1e3, flops / table.total_s() / 1e9, 100 * flops / table.total_s() / peak.flops_per_s);
}
