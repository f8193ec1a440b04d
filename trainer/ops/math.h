// The arithmetic of one element, for both backends: branch-free, so that the CPU loops vectorise
// (`#pragma omp simd` or plain loops under -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast).
// Polynomials: S. L. Moshier, Cephes (expf, logf, sinf, cosf). Errors are measured in tests/trainer/ops/math_test.cpp.
#pragma once

#include <cmath>
#include <cstdint>

#include "trainer/ops/bf16.h"

namespace gpumonth::ops {

/// e^x to 2 ulp for x in [-87.3, 88.3]; outside, x is clamped to that range. NaN stays NaN.
GPUMONTH_HD inline float fast_exp(float x) {
  constexpr float kLowest = -87.3365447f, kHighest = 88.3762589f;  // results stay normal and finite
  constexpr float kRound = 12582912.0f;                            // 1.5 x 2^23: adding it rounds to an integer
  x = x < kLowest ? kLowest : x;
  x = x > kHighest ? kHighest : x;
  const float shifted = x * 1.44269504088896341f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // x - n ln 2, ln 2 in two parts
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float mantissa = p * (r * r) + r + 1.0f;
  const std::uint32_t power_of_two = (__builtin_bit_cast(std::uint32_t, shifted) + 127u) << 23;
  return mantissa * __builtin_bit_cast(float, power_of_two);
}

constexpr float kLog2E = 1.44269504088896341f;

/// 2^x to 2 ulp for x in [-126, 127.49]; outside, x is clamped to that range. NaN stays NaN. Where x is a product of
/// its own, log2 e goes into its factor, and this is a third cheaper than fast_exp. Minimax polynomial on [-1/2, 1/2].
GPUMONTH_HD inline float fast_exp2(float x) {
  constexpr float kRound = 12582912.0f;  // 1.5 x 2^23: adding it rounds to an integer
  x = x < -126.0f ? -126.0f : x;
  x = x > 127.49f ? 127.49f : x;
  const float shifted = x + kRound;
  const float r = x - (shifted - kRound);  // exact
  float p = 1.535336188319500e-4f;
  p = p * r + 1.339887440266574e-3f;
  p = p * r + 9.618437357674640e-3f;
  p = p * r + 5.550332471162809e-2f;
  p = p * r + 2.402264791363012e-1f;
  p = p * r + 6.931472028550421e-1f;
  p = p * r + 1.0f;
  const std::uint32_t power_of_two = (__builtin_bit_cast(std::uint32_t, shifted) + 127u) << 23;
  return p * __builtin_bit_cast(float, power_of_two);
}

/// ln x to 2 ulp for normal positive x; nothing is promised for others.
GPUMONTH_HD inline float fast_log(float x) {
  constexpr std::int32_t kSqrtHalf = 0x3f3504f3;  // the mantissa is brought to [sqrt(1/2), sqrt(2))
  const std::int32_t bits = __builtin_bit_cast(std::int32_t, x);
  const std::int32_t exponent = (bits - kSqrtHalf) >> 23;
  const float m = __builtin_bit_cast(float, bits - exponent * (1 << 23)) - 1.0f;
  const float e = static_cast<float>(exponent);
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float z = m * m;
  return ((p * m * z - e * 2.12194440e-4f) - 0.5f * z + m) + e * 0.693359375f;
}

/// cos and sin of 2 pi u for u in [0, 1], absolute error below 3e-7.
GPUMONTH_HD inline void fast_sincos_2pi(float u, float* cosine, float* sine) {
  const std::int32_t quadrant = static_cast<std::int32_t>(4.0f * u + 0.5f);
  const float a = 6.28318530717958648f * (u - 0.25f * static_cast<float>(quadrant));  // [-pi/4, pi/4]
  const float z = a * a;
  float s = -1.9515295891e-4f;
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  s = s * z * a + a;
  float c = 2.443315711809948e-5f;
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  c = c * (z * z) - 0.5f * z + 1.0f;
  const std::uint32_t q = static_cast<std::uint32_t>(quadrant);
  const std::uint32_t c_bits = __builtin_bit_cast(std::uint32_t, c);
  const std::uint32_t s_bits = __builtin_bit_cast(std::uint32_t, s);
  const std::uint32_t odd = 0u - (q & 1u);  // all ones in an odd quadrant, where sin and cos change places
  const std::uint32_t cos_bits = (c_bits & ~odd) | (s_bits & odd);
  const std::uint32_t sin_bits = (s_bits & ~odd) | (c_bits & odd);
  *cosine = __builtin_bit_cast(float, cos_bits ^ (((q + 1u) & 2u) << 30));
  *sine = __builtin_bit_cast(float, sin_bits ^ ((q & 2u) << 30));
}

GPUMONTH_HD inline float sigmoid(float x) { return 1.0f / (1.0f + fast_exp2(-kLog2E * x)); }

GPUMONTH_HD inline float silu(float x) { return x * sigmoid(x); }

/// d silu(x) / dx
GPUMONTH_HD inline float silu_derivative(float x) {
  const float e = fast_exp(-x), s = 1.0f / (1.0f + e);
  return s + x * s * (e * s);  // e s = 1 - s, without cancellation
}

constexpr float kGeluSlope = 1.59576912160573071f;       // 2 sqrt(2 / pi)
constexpr float kGeluSlopeLog2E = 2.30220819814432520f;  // times log2 e
constexpr float kGeluCubic = 0.044715f;

/// GELU, tanh form: x/2 (1 + tanh(z/2)) = x sigmoid(z), z = 2 sqrt(2/pi) (x + 0.044715 x^3).
/// Hendrycks & Gimpel, arXiv:1606.08415.
GPUMONTH_HD inline float gelu_tanh(float x) {
  return x / (1.0f + fast_exp2(-kGeluSlopeLog2E * x * (1.0f + kGeluCubic * x * x)));
}

/// d gelu_tanh(x) / dx
GPUMONTH_HD inline float gelu_tanh_derivative(float x) {
  const float e = fast_exp2(-kGeluSlopeLog2E * x * (1.0f + kGeluCubic * x * x)), s = 1.0f / (1.0f + e);
  return s + x * s * (e * s) * kGeluSlope * (1.0f + 3.0f * kGeluCubic * x * x);
}

/// The constants of one AdamW step; adamw_step() in adamw.h derives them from the hyperparameters.
struct AdamWStep {
  float decay = 1;  ///< 1 - learning_rate x weight_decay
  float beta1 = 0.9f, beta2 = 0.999f;
  float one_minus_beta1 = 0.1f, one_minus_beta2 = 0.001f;  ///< rounded from double: 1 - 0.999f is 1e-5 off
  float step_size = 0;                                     ///< learning_rate / (1 - beta1^step)
  float inverse_bias2 = 1;                                 ///< 1 / sqrt(1 - beta2^step)
  float epsilon = 1e-8f;
  float ema_decay = 0, one_minus_ema_decay = 1;
};

/// What the gradient's norm means for an update.
struct Clipping {
  double norm = 0;          ///< L2, before clipping
  float scale = 1;          ///< multiplies every gradient
  std::int32_t finite = 1;  ///< 0: parameters and moments must stay as they are
};

/// From the sum of squares; the factor is torch.nn.utils.clip_grad_norm_'s. clip_norm 0: no clipping.
GPUMONTH_HD inline Clipping clip(double sum_of_squares, double clip_norm) {
  const double norm = std::sqrt(sum_of_squares);
  const double scale = clip_norm > 0 && norm + 1e-6 > clip_norm ? clip_norm / (norm + 1e-6) : 1.0;
  return {norm, static_cast<float>(scale), norm - norm == 0.0 ? 1 : 0};
}

/// AdamW with decoupled weight decay (Loshchilov & Hutter, arXiv:1711.05101; torch.optim.AdamW), then EMA.
GPUMONTH_HD inline void adamw_element(const AdamWStep& s, float g, float* parameter, float* exp_avg, float* exp_avg_sq,
                                      float* ema) {
  const float m = s.beta1 * *exp_avg + s.one_minus_beta1 * g;
  const float v = s.beta2 * *exp_avg_sq + s.one_minus_beta2 * (g * g);
  const float p = s.decay * *parameter - s.step_size * (m / (std::sqrt(v) * s.inverse_bias2 + s.epsilon));
  *exp_avg = m;
  *exp_avg_sq = v;
  *parameter = p;
  *ema = s.ema_decay * *ema + s.one_minus_ema_decay * p;
}

/// A value and its derivative with respect to the model's variance output.
template <class Real>
struct ValueAndSlope {
  Real value, slope;
};

/// KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) of one element in nats, for learned-range variance
/// (Nichol & Dhariwal, arXiv:2102.09672, eq. 15). With v the variance output, frac = (v + 1) / 2 and
/// d = frac x range = log p's variance - log q's variance:
///   KL = 1/2 (d - 1 + e^-d (1 + weight x error^2)),
/// where error = eps_model - eps, so that weight x error^2 is the squared distance of the means over q's variance.
GPUMONTH_HD inline ValueAndSlope<float> kl_element(float error, float v, float range, float weight) {
  const float d = 0.5f * (v + 1.0f) * range;
  const float ratio = fast_exp(-d) * (1.0f + weight * error * error);
  return {0.5f * (d - 1.0f + ratio), 0.25f * range * (1.0f - ratio)};
}

/// The reference's approximation of the standard normal's distribution function, exact in both tails' ratio:
/// (1 + tanh(z/2)) / 2 = sigmoid(z).
GPUMONTH_HD inline double approximate_normal_cdf(double x) {
  return 1.0 / (1.0 + std::exp(-1.59576912160573071 * (x + 0.044715 * x * x * x)));
}
GPUMONTH_HD inline double approximate_normal_density(double x) {
  const double c = approximate_normal_cdf(x);
  return c * (1.0 - c) * 1.59576912160573071 * (1.0 + 3.0 * 0.044715 * x * x);
}

/// -log p(x_0 | x_1) of one element in nats: a Gaussian integrated over a bin of 2/255, open at both ends of
/// [-1, 1] (Ho et al., arXiv:2006.11239, eq. 13). `centered` = x_0 - mean, log variance = min_log_variance +
/// (v + 1) / 2 x range. In double: it runs for t = 0 only, and its bins are differences of nearly equal numbers.
GPUMONTH_HD inline ValueAndSlope<double> decoder_nll_element(double x0, double centered, double v,
                                                             double min_log_variance, double range) {
  constexpr double kHalfBin = 1.0 / 255.0, kSmallest = 1e-12;
  const double inverse_std = std::exp(-0.5 * (min_log_variance + 0.5 * (v + 1.0) * range));
  const double plus = inverse_std * (centered + kHalfBin), minus = inverse_std * (centered - kHalfBin);
  const bool lowest = x0<-0.999, highest = x0> 0.999;
  const bool mirror = centered > 0;  // the same bin seen from the tail where the difference is exact
  const double bin = mirror ? approximate_normal_cdf(-minus) - approximate_normal_cdf(-plus)
                            : approximate_normal_cdf(plus) - approximate_normal_cdf(minus);
  const double p = lowest ? approximate_normal_cdf(plus) : highest ? approximate_normal_cdf(-minus) : bin;
  if (p < kSmallest) return {-std::log(kSmallest), 0.0};
  // d plus / d v = -plus x range / 4, and minus likewise.
  const double dp = (highest ? 0.0 : approximate_normal_density(plus) * plus) -
                    (lowest ? 0.0 : approximate_normal_density(minus) * minus);
  return {-std::log(p), 0.25 * range * dp / p};
}

}  // namespace gpumonth::ops
