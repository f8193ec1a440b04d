#include "trainer/ops/diffusion_loss.h"

#include <algorithm>
#include <numbers>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/math.h"

namespace gpumonth::ops {
namespace {

// Pixels of the patches handled at a time. A token keeps its channels innermost, a latent outermost: so one
// channel of a chunk of pixels is gathered, worked on in vectors, and scattered while all of it is in the
// first-level cache.
constexpr std::int64_t kChunk = 256;

struct Chunk {
  std::int64_t n;                                                       ///< pixels in use
  std::int64_t offset[kChunk];                                          ///< of each pixel in a channel's plane
  float epsilon[kChunk], variance[kChunk], noise[kChunk], x_0[kChunk];  ///< gathered
  float d_epsilon[kChunk], d_variance[kChunk];                          ///< to be scattered
};

struct Scales {
  float mse, vb;  ///< of the gradients: loss_scale / values, and that / ln 2
};

struct Sums {
  double mse = 0, vb = 0;  ///< squares; nats
};

void mse_chunk(Chunk& c, const Scales& scale, Sums& sums) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < c.n; ++i) {
    const float error = c.epsilon[i] - c.noise[i];
    c.d_epsilon[i] = 2.0f * scale.mse * error;
    sum += static_cast<double>(error * error);
  }
  sums.mse += sum;
}

void kl_chunk(Chunk& c, const ops::StepCoefficients& k, const Scales& scale, Sums& sums) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < c.n; ++i) {
    const auto kl = kl_element(c.epsilon[i] - c.noise[i], c.variance[i], k.log_variance_range, k.kl_weight);
    c.d_variance[i] = scale.vb * kl.slope;
    sum += static_cast<double>(kl.value);
  }
  sums.vb += sum;
}

void decoder_chunk(Chunk& c, const ops::StepCoefficients& k, const Scales& scale, Sums& sums) {
  for (std::int64_t i = 0; i < c.n; ++i) {
    const double centered = double{k.mean_error} * (double{c.epsilon[i]} - double{c.noise[i]});
    const auto nll = decoder_nll_element(c.x_0[i], centered, c.variance[i], k.min_log_variance, k.log_variance_range);
    c.d_variance[i] = static_cast<float>(scale.vb * nll.slope);
    sums.vb += nll.value;
  }
}

/// Walks over a sample's pixels in token order; counters instead of five divisions per pixel.
struct Cursor {
  std::int64_t frame = 0, y = 0, x = 0;  ///< the token's first pixel
  std::int64_t a = 0, d = 0, i = 0;      ///< frame, line and pixel inside the patch

  std::int64_t offset(const LatentShape& s) const { return ((frame + a) * s.height + y + d) * s.width + x + i; }

  void advance(const LatentShape& s) {
    if (++i < s.patch) return;
    i = 0;
    if (++d < s.patch) return;
    d = 0;
    if (++a < s.temporal_patch) return;
    a = 0;
    if ((x += s.patch) < s.width) return;
    x = 0;
    if ((y += s.patch) < s.height) return;
    y = 0;
    frame += s.temporal_patch;
  }
};

/// One channel of one chunk; `tokens` and `gradient`, where not null, point at the first pixel's value of that channel.
template <class T>
void channel(const DiffusionLossInput& in, const ops::StepCoefficients& k, bool first_step, const Scales& scale,
             const float* tokens, const float* noise, const float* x_0, T* gradient, Chunk& c, Sums& sums) {
  const std::int64_t stride = in.shape.channels * (in.learn_sigma ? 2 : 1);
  for (std::int64_t i = 0; i < c.n; ++i) {
    c.epsilon[i] = tokens[i * stride];
    c.noise[i] = noise[c.offset[i]];
  }
  mse_chunk(c, scale, sums);
  if (gradient)
    for (std::int64_t i = 0; i < c.n; ++i) gradient[i * stride] = from_float<T>(c.d_epsilon[i]);
  if (!in.learn_sigma) return;
  for (std::int64_t i = 0; i < c.n; ++i) {
    c.variance[i] = tokens[i * stride + in.shape.channels];
    c.x_0[i] = x_0[c.offset[i]];
  }
  first_step ? decoder_chunk(c, k, scale, sums) : kl_chunk(c, k, scale, sums);
  if (!gradient) return;
  for (std::int64_t i = 0; i < c.n; ++i) gradient[i * stride + in.shape.channels] = from_float<T>(c.d_variance[i]);
}

template <class T>
Sums sample_loss(const DiffusionLossInput& in, std::int64_t b, const Scales& scale, T* gradient) {
  const LatentShape& s = in.shape;
  const std::int64_t out_channels = s.channels * (in.learn_sigma ? 2 : 1);
  const std::int64_t latents = b * s.channels * s.plane(), outputs = b * s.plane() * out_channels;
  Sums sums;
  Cursor cursor;
  Chunk c;
  for (std::int64_t first = 0; first < s.plane(); first += kChunk) {
    c.n = std::min(kChunk, s.plane() - first);
    for (std::int64_t i = 0; i < c.n; ++i, cursor.advance(s)) c.offset[i] = cursor.offset(s);
    for (std::int64_t ch = 0; ch < s.channels; ++ch) {
      const std::int64_t output = outputs + first * out_channels + ch, latent = latents + ch * s.plane();
      channel(in, in.table[in.t[b]], in.t[b] == 0, scale, in.tokens + output, in.noise + latent, in.x_0 + latent,
              gradient ? gradient + output : nullptr, c, sums);
    }
  }
  return sums;
}

}  // namespace

template <class T>
void diffusion_loss(Cpu& cpu, const DiffusionLossInput& in, float loss_scale, T* gradient, double* loss, double* mse,
                    double* vb) {
  const double values = static_cast<double>(in.shape.channels * in.shape.plane());
  const Scales scale = {static_cast<float>(loss_scale / values),
                        static_cast<float>(loss_scale / values / std::numbers::ln2)};
  // One thread per sample: the sums do not depend on the thread count.
  parallel_for(cpu, in.batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const Sums sums = sample_loss(in, b, scale, gradient);
      const double sample_mse = sums.mse / values, sample_vb = sums.vb / values / std::numbers::ln2;
      loss[b] = sample_mse + sample_vb;
      if (mse) mse[b] = sample_mse;
      if (vb) vb[b] = sample_vb;
    }
  });
}

template void diffusion_loss(Cpu&, const DiffusionLossInput&, float, float*, double*, double*, double*);
template void diffusion_loss(Cpu&, const DiffusionLossInput&, float, bf16*, double*, double*, double*);

}  // namespace gpumonth::ops
