// x = x_in + gate * branch, y = LN(x) (1 + scale) + shift: values, and every gradient by central differences.
#include "trainer/ops/residual_norm.h"

#include "tests/catch.h"
#include "tests/trainer/ops/reference.h"

namespace gpumonth::ops {
namespace {

using tests::doubles, tests::Doubles, tests::random_values, tests::relative_distance, tests::typed;

constexpr float kUntouched = 77;

struct Inputs {
  Doubles x_in, branch, gate, scale, shift;  // gate, scale, shift dense (B, h)
  bool with_branch;
};
struct Outputs {
  Doubles x, y;
};

Outputs naive(const ResidualNormShape& s, const Inputs& in) {
  const std::int64_t h = s.width;
  Outputs out{in.x_in, Doubles(in.x_in.size())};
  for (std::int64_t row = 0; row < s.batch * s.tokens; ++row) {
    const std::int64_t m = row / s.tokens * h;
    double* x = &out.x[row * h];
    double mean = 0, variance = 0;
    for (std::int64_t i = 0; i < h; ++i) {
      if (in.with_branch) x[i] += in.gate[m + i] * in.branch[row * h + i];
      mean += x[i] / static_cast<double>(h);
    }
    for (std::int64_t i = 0; i < h; ++i) variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(h);
    for (std::int64_t i = 0; i < h; ++i)
      out.y[row * h + i] = (x[i] - mean) / std::sqrt(variance + 1e-6) * (1 + in.scale[m + i]) + in.shift[m + i];
  }
  return out;
}

/// One forward and backward through the op, modulations as rows of a wider matrix, as in the model.
template <class T>
struct Run {
  ResidualNormShape shape;
  bool with_branch, first;
  std::vector<float> x_in, modulation, x_out, mean, rstd, dx_later, dx, d_modulation, dbias;
  std::vector<T> branch, y, dy, dbranch;
  enum { kShift, kScale, kGate };

  Run(const ResidualNormShape& s, bool branch_given, bool is_first, int threads)
      : shape(s), with_branch(branch_given), first(is_first), x_in(random_values(values(), 1)),
        modulation(random_values(s.batch * s.modulation_stride, 2, 0.5f)), x_out(values()), mean(s.batch * s.tokens),
        rstd(mean.size()), dx_later(random_values(values(), 3)),
        dx(is_first ? std::vector<float>(values(), NAN) : dx_later), d_modulation(modulation.size(), kUntouched),
        dbias(s.width), branch(typed<T>(random_values(values(), 4))), y(values()),
        dy(typed<T>(random_values(values(), 5))), dbranch(values()) {
    Cpu cpu{threads};
    residual_norm_forward(cpu, s,
                          ResidualNormForward<T>{.x_in = x_in.data(),
                                                 .branch = branch_given ? branch.data() : nullptr,
                                                 .gate = branch_given ? chunk(modulation, kGate) : nullptr,
                                                 .scale = chunk(modulation, kScale),
                                                 .shift = chunk(modulation, kShift),
                                                 .x_out = x_out.data(),
                                                 .y = y.data(),
                                                 .mean = mean.data(),
                                                 .rstd = rstd.data()});
    std::vector<float> scratch(residual_norm_scratch(s));
    residual_norm_backward(cpu, s,
                           ResidualNormBackward<T>{.dy = dy.data(),
                                                   .dx = dx.data(),
                                                   .first = first,
                                                   .x = branch_given ? x_out.data() : x_in.data(),
                                                   .mean = mean.data(),
                                                   .rstd = rstd.data(),
                                                   .scale = chunk(modulation, kScale),
                                                   .dscale = chunk(d_modulation, kScale),
                                                   .dshift = chunk(d_modulation, kShift),
                                                   .branch = branch_given ? branch.data() : nullptr,
                                                   .gate = branch_given ? chunk(modulation, kGate) : nullptr,
                                                   .dbranch = dbranch.data(),
                                                   .dgate = branch_given ? chunk(d_modulation, kGate) : nullptr,
                                                   .dbranch_bias = branch_given ? dbias.data() : nullptr},
                           scratch.data());
  }

  std::int64_t values() const { return shape.batch * shape.tokens * shape.width; }
  float* chunk(std::vector<float>& matrix, int which) const { return matrix.data() + which * shape.width; }
  /// (B, h) of one chunk, without what lies between.
  Doubles dense(const std::vector<float>& matrix, int which) const {
    Doubles result;
    for (std::int64_t b = 0; b < shape.batch; ++b)
      for (std::int64_t i = 0; i < shape.width; ++i)
        result.push_back(double{matrix[b * shape.modulation_stride + which * shape.width + i]});
    return result;
  }
  Inputs inputs() const {
    return {
        doubles(x_in), doubles(branch), dense(modulation, kGate), dense(modulation, kScale), dense(modulation, kShift),
        with_branch};
  }
};

// Width 96; width and tokens that nothing divides; one token; several chunks of rows. Strides leave a gap.
constexpr ResidualNormShape kShapes[] = {{2, 3, 96, 3 * 96}, {3, 1, 24, 100}, {2, 5, 37, 150}, {1, 70, 12, 36}};

/// d (dy . y + dx_later . x) / d each input.
template <class T>
void check_gradients(const Run<T>& run, double tolerance) {
  const ResidualNormShape& s = run.shape;
  const Inputs in = run.inputs();
  const Doubles dy = doubles(run.dy), later = doubles(run.dx_later);
  const auto along = [&](Doubles Inputs::*which) {
    return tests::central_differences(in.*which, [&](const Doubles& values) {
      Inputs changed = in;
      changed.*which = values;
      const Outputs out = naive(s, changed);
      return tests::dot(dy, out.y) + (run.first ? 0 : tests::dot(later, out.x));
    });
  };
  CHECK(relative_distance(run.dx, along(&Inputs::x_in)) < 3e-6);
  CHECK(relative_distance(run.dense(run.d_modulation, run.kScale), along(&Inputs::scale)) < 3e-6);
  CHECK(relative_distance(run.dense(run.d_modulation, run.kShift), along(&Inputs::shift)) < 3e-6);
  if (!run.with_branch) return;
  CHECK(relative_distance(run.dense(run.d_modulation, run.kGate), along(&Inputs::gate)) < 3e-6);
  const Doubles dbranch = along(&Inputs::branch);
  CHECK(relative_distance(doubles(run.dbranch), dbranch) < tolerance);
  Doubles dbias(s.width);
  for (std::size_t i = 0; i < dbranch.size(); ++i) dbias[i % s.width] += dbranch[i];
  CHECK(relative_distance(run.dbias, dbias) < tolerance);
}

/// Other modulations' gradients are other calls' business.
template <class T>
bool untouched_between(const Run<T>& run) {
  const std::int64_t stride = run.shape.modulation_stride, own = (run.with_branch ? 3 : 2) * run.shape.width;
  bool intact = true;
  for (std::size_t i = 0; i < run.d_modulation.size(); ++i)
    if (static_cast<std::int64_t>(i) % stride >= own) intact &= run.d_modulation[i] == kUntouched;
  return intact;
}

template <class T>
void check(double tolerance) {
  for (const ResidualNormShape& s : kShapes)
    for (const bool with_branch : {true, false})
      for (const bool first : {true, false}) {
        INFO(s.batch << " x " << s.tokens << " x " << s.width << (with_branch ? ", branch" : "")
                     << (first ? ", first" : ""));
        const Run<T> run(s, with_branch, first, 1), pair(s, with_branch, first, 2);
        const Outputs expected = naive(s, run.inputs());
        CHECK(relative_distance(doubles(run.y), expected.y) < tolerance);
        if (with_branch) CHECK(relative_distance(run.x_out, expected.x) < 2e-6);
        check_gradients(run, tolerance);
        CHECK(tests::same_bits(run.y, pair.y));
        CHECK(tests::same_bits(run.dx, pair.dx));
        CHECK(tests::same_bits(run.d_modulation, pair.d_modulation));
        CHECK(tests::same_bits(run.dbranch, pair.dbranch));
        CHECK(tests::same_bits(run.dbias, pair.dbias));
        CHECK(untouched_between(run));
      }
}

TEST_CASE("residual_norm in fp32: values and central differences, the same bits for 1 and 2 threads") {
  check<float>(3e-6);
}

TEST_CASE("residual_norm in bf16: y and dbranch are rounded, all else is fp32") { check<bf16>(4e-3); }

}  // namespace
}  // namespace gpumonth::ops
