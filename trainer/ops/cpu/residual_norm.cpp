#include "trainer/ops/residual_norm.h"

#include <cmath>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cpu/chunked_sum.h"
#include "trainer/ops/cpu/convert.h"

namespace gpumonth::ops {
namespace {

constexpr float kEpsilon = 1e-6f;
enum Partial { kShift, kScale, kGate, kBias, kPartials };

struct Statistics {
  float mean, rstd;
};

Statistics statistics(const float* x, std::int64_t h) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < h; ++i) sum += x[i];
  const float mean = sum / static_cast<float>(h);
  float square = 0;
#pragma omp simd reduction(+ : square)
  for (std::int64_t i = 0; i < h; ++i) square += (x[i] - mean) * (x[i] - mean);
  return {mean, 1.0f / std::sqrt(square / static_cast<float>(h) + kEpsilon)};
}

template <class T>
void forward_row(const ResidualNormShape& s, const ResidualNormForward<T>& a, std::int64_t row) {
  const std::int64_t h = s.width, m = row / s.tokens * s.modulation_stride;
  const float* x = a.x_in + row * h;
  if (a.branch) {
    float* out = a.x_out + row * h;
    const T* branch = a.branch + row * h;
    const float* gate = a.gate + m;
    for (std::int64_t at = 0; at < h; at += kFloatBlock) {
      alignas(64) float buffer[kFloatBlock];
      const std::int64_t count = std::min(kFloatBlock, h - at);
      const float* add = read_row(count, branch + at, buffer);
#pragma omp simd
      for (std::int64_t i = 0; i < count; ++i) out[at + i] = x[at + i] + gate[at + i] * add[i];
    }
    x = out;
  }
  const Statistics st = statistics(x, h);
  a.mean[row] = st.mean;
  a.rstd[row] = st.rstd;
  const float *scale = a.scale + m, *shift = a.shift + m;
  T* y = a.y + row * h;
  for (std::int64_t at = 0; at < h; at += kFloatBlock) {
    alignas(64) float buffer[kFloatBlock];
    const std::int64_t count = std::min(kFloatBlock, h - at);
    float* out = row_target(y + at, buffer);
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i)
      out[i] = (x[at + i] - st.mean) * st.rstd * (1.0f + scale[at + i]) + shift[at + i];
    write_row(count, out, y + at);
  }
}

/// Gradient through LN: rstd (g - mean(g) - xhat mean(g xhat)), g = dy (1 + scale).
template <class T>
void norm_gradient(const ResidualNormShape& s, const ResidualNormBackward<T>& a, std::int64_t row, float* partial) {
  const std::int64_t h = s.width;
  const float mean = a.mean[row], rstd = a.rstd[row];
  const float *x = a.x + row * h, *scale = a.scale + row / s.tokens * s.modulation_stride;
  const T* dy = a.dy + row * h;
  float *dshift = partial + kShift * h, *dscale = partial + kScale * h;
  float sum_g = 0, sum_gx = 0;
#pragma omp simd reduction(+ : sum_g, sum_gx)
  for (std::int64_t i = 0; i < h; ++i) {
    const float d = to_float(dy[i]), xhat = (x[i] - mean) * rstd, g = d * (1.0f + scale[i]);
    sum_g += g;
    sum_gx += g * xhat;
    dshift[i] += d;
    dscale[i] += d * xhat;
  }
  const float mean_g = sum_g / static_cast<float>(h), mean_gx = sum_gx / static_cast<float>(h);
  const float keep = a.first ? 0.0f : 1.0f;
  float* dx = a.dx + row * h;
  if (a.first) std::fill_n(dx, h, 0.0f);
#pragma omp simd
  for (std::int64_t i = 0; i < h; ++i) {
    const float xhat = (x[i] - mean) * rstd, g = to_float(dy[i]) * (1.0f + scale[i]);
    dx[i] = keep * dx[i] + rstd * (g - mean_g - xhat * mean_gx);
  }
}

template <class T>
void branch_gradient(const ResidualNormShape& s, const ResidualNormBackward<T>& a, std::int64_t row, float* partial) {
  const std::int64_t h = s.width;
  const float *dx = a.dx + row * h, *gate = a.gate + row / s.tokens * s.modulation_stride;
  const T* branch = a.branch + row * h;
  T* dbranch = a.dbranch + row * h;
  float *dgate = partial + kGate * h, *dbias = partial + kBias * h;
#pragma omp simd
  for (std::int64_t i = 0; i < h; ++i) {
    const float d = gate[i] * dx[i];
    dbranch[i] = from_float<T>(d);
    dgate[i] += dx[i] * to_float(branch[i]);
    dbias[i] += d;
  }
}

std::int64_t chunks_per_sample(const ResidualNormShape& s) { return row_chunks(s.tokens); }

}  // namespace

std::int64_t residual_norm_scratch(const ResidualNormShape& s) {
  return s.batch * chunks_per_sample(s) * kPartials * s.width;
}

template <class T>
void residual_norm_forward(Cpu& cpu, const ResidualNormShape& s, const ResidualNormForward<T>& a) {
  parallel_for(cpu, s.batch * s.tokens, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) forward_row(s, a, row);
  });
}

template <class T>
void residual_norm_backward(Cpu& cpu, const ResidualNormShape& s, const ResidualNormBackward<T>& a, float* scratch) {
  const std::int64_t h = s.width, chunks = chunks_per_sample(s), size = kPartials * h;
  parallel_for(cpu, s.batch * chunks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      float* partial = scratch + chunk * size;
      std::fill_n(partial, size, 0.0f);
      const std::int64_t sample = chunk / chunks, first = chunk % chunks * kRowChunk;
      for (std::int64_t t = first; t < std::min(s.tokens, first + kRowChunk); ++t) {
        norm_gradient(s, a, sample * s.tokens + t, partial);
        if (a.branch) branch_gradient(s, a, sample * s.tokens + t, partial);
      }
    }
  });
  const Cpu alone{1};
  parallel_for(cpu, s.batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const float* partial = scratch + b * chunks * size;
      const std::int64_t m = b * s.modulation_stride;
      add_partials(alone, chunks, h, size, partial + kShift * h, a.dshift + m);
      add_partials(alone, chunks, h, size, partial + kScale * h, a.dscale + m);
      if (a.branch) add_partials(alone, chunks, h, size, partial + kGate * h, a.dgate + m);
    }
  });
  if (a.branch) add_partials(cpu, s.batch * chunks, h, size, scratch + kBias * h, a.dbranch_bias);
}

template void residual_norm_forward(Cpu&, const ResidualNormShape&, const ResidualNormForward<float>&);
template void residual_norm_forward(Cpu&, const ResidualNormShape&, const ResidualNormForward<bf16>&);
template void residual_norm_backward(Cpu&, const ResidualNormShape&, const ResidualNormBackward<float>&, float*);
template void residual_norm_backward(Cpu&, const ResidualNormShape&, const ResidualNormBackward<bf16>&, float*);

}  // namespace gpumonth::ops
