// x = x_in + gate * branch, y = LN(x) (1 + scale) + shift on any device: values, and every gradient by central differences.
#pragma once

#include <cmath>

#include "tests/trainer/ops/residual_norm_run.h"

namespace gpumonth::tests {

struct NaiveResidualNorm {
  Doubles x_in, branch, gate, scale, shift;  ///< gate, scale, shift dense (B, h)
  bool with_branch;
};
struct NaiveResidualNormResult {
  Doubles x, y;
};

inline NaiveResidualNormResult naive(const ops::ResidualNormShape& s, const NaiveResidualNorm& in) {
  const std::int64_t h = s.width;
  NaiveResidualNormResult out{in.x_in, Doubles(in.x_in.size())};
  for (std::int64_t row = 0; row < s.batch * s.tokens; ++row) {
    const std::int64_t m = row / s.tokens * h;
    double* x = &out.x[static_cast<std::size_t>(row * h)];
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

/// d (dy . y + dx_later . x) / d each input. `tolerance` of what is rounded to T.
template <class T>
void check_residual_norm_gradients(const ResidualNormCase& c, const ResidualNormInputs<T>& given,
                                   const NaiveResidualNorm& in, const ResidualNormGradients<T>& got, double tolerance) {
  const Doubles dy = doubles(given.dy), later = doubles(given.dx_later);
  const auto along = [&](Doubles NaiveResidualNorm::*which) {
    return central_differences(in.*which, [&](const Doubles& values) {
      NaiveResidualNorm changed = in;
      changed.*which = values;
      const NaiveResidualNormResult out = naive(c.shape, changed);
      return dot(dy, out.y) + (c.first ? 0 : dot(later, out.x));
    });
  };
  CHECK(relative_distance(got.dx, along(&NaiveResidualNorm::x_in)) < 3e-6);
  CHECK(relative_distance(chunk_of(c, got.d_modulation, kScale), along(&NaiveResidualNorm::scale)) < 3e-6);
  CHECK(relative_distance(chunk_of(c, got.d_modulation, kShift), along(&NaiveResidualNorm::shift)) < 3e-6);
  CHECK(untouched_between(c, got.d_modulation));
  if (!c.with_branch) return;
  CHECK(relative_distance(chunk_of(c, got.d_modulation, kGate), along(&NaiveResidualNorm::gate)) < 3e-6);
  const Doubles dbranch = along(&NaiveResidualNorm::branch);
  CHECK(relative_distance(doubles(got.dbranch), dbranch) < tolerance);
  Doubles dbias(static_cast<std::size_t>(c.shape.width));
  for (std::size_t i = 0; i < dbranch.size(); ++i) dbias[i % dbias.size()] += dbranch[i];
  CHECK(relative_distance(got.dbias, dbias) < tolerance);
}

// Width 96; width and tokens that nothing divides; one token; several chunks of rows. Strides leave a gap.
constexpr ops::ResidualNormShape kResidualNormShapes[] = {
    {2, 3, 96, 3 * 96}, {3, 1, 24, 100}, {2, 5, 37, 150}, {1, 70, 12, 36}};

/// `f(case)` for each of them.
template <class F>
void for_each_residual_norm(F&& f) {
  for (const ops::ResidualNormShape& shape : kResidualNormShapes)
    for (const bool with_branch : {true, false})
      for (const bool first : {true, false}) {
        const ResidualNormCase c{shape, with_branch, first};
        INFO(c.name());
        f(c);
      }
}

template <class T, class Device>
void check_residual_norm(Device& device) {
  constexpr double kTolerance = sizeof(T) == 2 ? 4e-3 : 3e-6;  // bf16: y and dbranch are rounded, all else is fp32
  for_each_residual_norm([&](const ResidualNormCase& c) {
    const ResidualNormInputs<T> in(c);
    const NaiveResidualNorm exact{doubles(in.x_in),
                                  doubles(in.branch),
                                  doubles(chunk_of(c, in.modulation, kGate)),
                                  doubles(chunk_of(c, in.modulation, kScale)),
                                  doubles(chunk_of(c, in.modulation, kShift)),
                                  c.with_branch};
    const ResidualNormValues<T> values = residual_norm_values(device, c, in);
    const NaiveResidualNormResult expected = naive(c.shape, exact);
    CHECK(relative_distance(doubles(values.y), expected.y) < kTolerance);
    CHECK(relative_distance(values.x_out, expected.x) < 2e-6);
    check_residual_norm_gradients(c, in, exact, residual_norm_gradients(device, c, in, values), kTolerance);
  });
}

}  // namespace gpumonth::tests
