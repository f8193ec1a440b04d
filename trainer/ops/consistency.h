// Consistency distillation (Song et al. 2023, arXiv:2303.01469, algorithm 2) on a discrete schedule with a guided teacher
// (latent consistency models, Luo et al. 2023, arXiv:2310.04378): what lies between the passes of the networks, and the
// loss. docs/sampling.md has the formulas.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "trainer/ops/device.h"
#include "trainer/ops/diffusion.h"
#include "trainer/ops/math.h"
#include "trainer/ops/patchify.h"
#include "trainer/ops/reverse_step.h"

namespace gpumonth::ops {

/// f(x_t, t) = c_skip(t) x_t + c_out(t) x_0, with the x_0 that the network's epsilon says, as factors of x_t and epsilon.
/// c_skip = d^2 / ((10 t)^2 + d^2) and c_out = 10 t / sqrt((10 t)^2 + d^2) with d = 0.5, as latent consistency models have
/// them: f(x, 0) = x, the boundary condition, and from t = 1 on f is x_0 but for 2.5e-3.
struct ConsistencyScale {
  double x = 1, epsilon = 0;
};
ConsistencyScale consistency_scale(const DiffusionSchedule& schedule, int t);

/// What the ops need of one t, rounded once from double. An array of kDiffusionSteps of them lies on the device.
struct ConsistencyCoefficients {
  float x_scale, epsilon_scale;            ///< f(x_t, t) = x_scale x_t + epsilon_scale epsilon
  float step_x_scale, step_epsilon_scale;  ///< the same of x_s: one DDIM step (arXiv:2010.02502, eta 0) from t to s
  float weight;    ///< of the loss: 1 / (sigma_t - sigma_s), sigma = noise / signal (arXiv:2310.14189); 0 where s = t
  std::int32_t s;  ///< t - skip, no less than 0
};

/// Coefficients by t. skip: timesteps that the teacher's step goes down, 1 or more.
std::vector<ConsistencyCoefficients> consistency_coefficients(const DiffusionSchedule& schedule, int skip);

/// x_s (B, C, [F,] H, W) fp32 from x_t likewise and t (B), by the teacher's step, and s (B). in.output are the teacher's
/// B rows, or with in.guided 2 B, the second half under the null label; in.samples = B; in.noise is not read.
void teacher_step(Cpu& cpu, const ReverseStepInput& in, const std::int32_t* t, const ConsistencyCoefficients* table,
                  const float* x_t, float* x_s, std::int32_t* s);
void teacher_step(Cuda& cuda, const ReverseStepInput& in, const std::int32_t* t, const ConsistencyCoefficients* table,
                  const float* x_t, float* x_s, std::int32_t* s);

/// f(x_s, s) in place of x_s, (B, C, [F,] H, W) fp32; in.output are the target network's B rows.
void consistency_target(Cpu& cpu, const ReverseStepInput& in, const std::int32_t* s,
                        const ConsistencyCoefficients* table, float* x_s);
void consistency_target(Cuda& cuda, const ReverseStepInput& in, const std::int32_t* s,
                        const ConsistencyCoefficients* table, float* x_s);

/// How far f(x_t, t) is from its target, by the mean square m of the difference over a sample's values. pseudo_huber:
/// sqrt(m + c^2) - c with c = 0.00054 (arXiv:2310.14189, there as sums over the values); otherwise m itself.
enum class ConsistencyMetric { l2, pseudo_huber };

constexpr double kPseudoHuber = 0.00054;

/// Of m.
GPUMONTH_HD inline ValueAndSlope<double> consistency_distance(ConsistencyMetric metric, double m) {
  if (metric == ConsistencyMetric::l2) return {m, 1.0};
  const double root = std::sqrt(m + kPseudoHuber * kPseudoHuber);
  return {root - kPseudoHuber, 0.5 / root};
}

struct ConsistencyLossInput {
  const float* tokens;                   ///< (B, T, pt p p c_out) fp32, the student's final linear layer's output
  const float* x_t;                      ///< (B, C, [F,] H, W) fp32
  const float* target;                   ///< (B, C, [F,] H, W) fp32: f(x_s, s), a constant
  const std::int32_t* t;                 ///< (B) in 0 .. 999
  const ConsistencyCoefficients* table;  ///< (1000) consistency_coefficients()
  LatentShape shape;
  std::int64_t batch;  ///< B
  bool learn_sigma;    ///< c_out = 2 C; the variance output, the second half, has no part in the loss
  ConsistencyMetric metric;
};

/// loss[b] (B) double = weight of t x distance. gradient (B, T, pt p p c_out), T = float or bf16 = d (loss_scale x sum of
/// loss[b]) / d tokens, zero for the variance output; null: not wanted.
template <class T>
void consistency_loss(Cpu& cpu, const ConsistencyLossInput& input, float loss_scale, T* gradient, double* loss);
template <class T>
void consistency_loss(Cuda& cuda, const ConsistencyLossInput& input, float loss_scale, T* gradient, double* loss);

}  // namespace gpumonth::ops
