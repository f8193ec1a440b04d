// One forward and one backward of the fused residual, LayerNorm and modulation on any device. Modulations are rows of a
// wider matrix, as in the model.
#pragma once

#include <vector>

#include "tests/trainer/ops/device_memory.h"
#include "tests/trainer/ops/reference.h"
#include "trainer/ops/residual_norm.h"

namespace gpumonth::tests {

constexpr float kUntouched = 77;

struct ResidualNormCase {
  ops::ResidualNormShape shape;
  bool with_branch, first;

  std::int64_t values() const { return shape.batch * shape.tokens * shape.width; }
  std::int64_t rows() const { return shape.batch * shape.tokens; }
  std::string name() const {
    return std::to_string(shape.batch) + " x " + std::to_string(shape.tokens) + " x " + std::to_string(shape.width) +
           ", stride " + std::to_string(shape.modulation_stride) + (with_branch ? ", branch" : "") +
           (first ? ", first" : "");
  }
};

/// Of the modulation, h columns each.
enum Chunk { kShift, kScale, kGate };

/// (B, h) of one chunk, without what lies between.
inline std::vector<float> chunk_of(const ResidualNormCase& c, const std::vector<float>& matrix, Chunk which) {
  std::vector<float> values;
  for (std::int64_t b = 0; b < c.shape.batch; ++b)
    for (std::int64_t i = 0; i < c.shape.width; ++i)
      values.push_back(matrix[static_cast<std::size_t>(b * c.shape.modulation_stride + which * c.shape.width + i)]);
  return values;
}

/// Other modulations' gradients are other calls' business.
inline bool untouched_between(const ResidualNormCase& c, const std::vector<float>& matrix) {
  const std::int64_t own = (c.with_branch ? 3 : 2) * c.shape.width;
  bool intact = true;
  for (std::size_t i = 0; i < matrix.size(); ++i)
    if (static_cast<std::int64_t>(i) % c.shape.modulation_stride >= own) intact &= matrix[i] == kUntouched;
  return intact;
}

template <class T>
struct ResidualNormInputs {
  explicit ResidualNormInputs(const ResidualNormCase& c)
      : x_in(random_values(c.values(), 1)),
        modulation(random_values(c.shape.batch * c.shape.modulation_stride, 2, 0.5f)),
        dx_later(random_values(c.values(), 3)), branch(typed<T>(random_values(c.values(), 4))),
        dy(typed<T>(random_values(c.values(), 5))) {
    // A first dx is what lies in the memory; it must not be read.
    if (c.first) dx_later.assign(dx_later.size(), not_a_number<float>());
  }
  std::vector<float> x_in, modulation, dx_later;
  std::vector<T> branch, dy;
};

/// x_out is x_in where there is no branch.
template <class T>
struct ResidualNormValues {
  std::vector<float> x_out, mean, rstd;
  std::vector<T> y;
};

template <class T>
struct ResidualNormGradients {
  std::vector<float> dx, d_modulation, dbias;
  std::vector<T> dbranch;
};

template <class T, class Device>
ResidualNormValues<T> residual_norm_values(Device& device, const ResidualNormCase& c, const ResidualNormInputs<T>& in) {
  const std::int64_t h = c.shape.width;
  const auto x_in = on_device(device, in.x_in), modulation = on_device(device, in.modulation);
  const auto branch = on_device(device, in.branch);
  const OutputOn<Device, float> x_out(device, c.values()), mean(device, c.rows()), rstd(device, c.rows());
  const OutputOn<Device, T> y(device, c.values());
  ops::residual_norm_forward(device, c.shape,
                             ops::ResidualNormForward<T>{.x_in = x_in.get(),
                                                         .branch = c.with_branch ? branch.get() : nullptr,
                                                         .gate = c.with_branch ? modulation.get() + kGate * h : nullptr,
                                                         .scale = modulation.get() + kScale * h,
                                                         .shift = modulation.get() + kShift * h,
                                                         .x_out = c.with_branch ? x_out.get() : nullptr,
                                                         .y = y.get(),
                                                         .mean = mean.get(),
                                                         .rstd = rstd.get()});
  return {c.with_branch ? x_out.values("x_out") : in.x_in, mean.values("mean"), rstd.values("rstd"), y.values("y")};
}

/// `f` may be another device's: a wrong forward pass is not blamed on the backward pass then.
template <class T, class Device>
ResidualNormGradients<T> residual_norm_gradients(Device& device, const ResidualNormCase& c,
                                                 const ResidualNormInputs<T>& in, const ResidualNormValues<T>& f) {
  const std::int64_t h = c.shape.width;
  const auto modulation = on_device(device, in.modulation), x = on_device(device, f.x_out),
             mean = on_device(device, f.mean), rstd = on_device(device, f.rstd);
  const auto branch = on_device(device, in.branch), dy = on_device(device, in.dy);
  const OutputOn<Device, float> dx(device, in.dx_later),
      d_modulation(device, std::vector<float>(in.modulation.size(), kUntouched)), dbias(device, h),
      scratch(device, ops::residual_norm_scratch(c.shape));
  const OutputOn<Device, T> dbranch(device, c.values());
  ops::residual_norm_backward(
      device, c.shape,
      ops::ResidualNormBackward<T>{.dy = dy.get(),
                                   .dx = dx.get(),
                                   .first = c.first,
                                   .x = x.get(),
                                   .mean = mean.get(),
                                   .rstd = rstd.get(),
                                   .scale = modulation.get() + kScale * h,
                                   .dscale = d_modulation.get() + kScale * h,
                                   .dshift = d_modulation.get() + kShift * h,
                                   .branch = c.with_branch ? branch.get() : nullptr,
                                   .gate = c.with_branch ? modulation.get() + kGate * h : nullptr,
                                   .dbranch = c.with_branch ? dbranch.get() : nullptr,
                                   .dgate = c.with_branch ? d_modulation.get() + kGate * h : nullptr,
                                   .dbranch_bias = c.with_branch ? dbias.get() : nullptr},
      scratch.get());
  scratch.values("scratch");
  return {dx.values("dx"), d_modulation.values("d_modulation"), dbias.values("dbias"), dbranch.values("dbranch")};
}

template <class T>
void check_same_residual_norm(const ResidualNormValues<T>& a, const ResidualNormValues<T>& b) {
  CHECK(same_bits(a.x_out, b.x_out));
  CHECK(same_bits(a.mean, b.mean));
  CHECK(same_bits(a.rstd, b.rstd));
  CHECK(same_bits(a.y, b.y));
}
template <class T>
void check_same_residual_norm(const ResidualNormGradients<T>& a, const ResidualNormGradients<T>& b) {
  CHECK(same_bits(a.dx, b.dx));
  CHECK(same_bits(a.d_modulation, b.d_modulation));
  CHECK(same_bits(a.dbias, b.dbias));
  CHECK(same_bits(a.dbranch, b.dbranch));
}

}  // namespace gpumonth::tests
