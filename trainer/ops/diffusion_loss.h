// The reference's hybrid loss (facebookresearch/DiT training_losses: epsilon MSE + variational bound in bits
// for the learned variance) and its gradient, in one op. Unpatchify is an index map inside it.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"
#include "trainer/ops/diffusion.h"
#include "trainer/ops/patchify.h"

namespace gpumonth::ops {

/// Inputs. x_t does not appear: with x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) noise the distance of
/// the posterior means is a multiple of (eps_model - noise), which fp32 then does not have to find by cancellation.
struct DiffusionLossInput {
  const float* tokens;                 ///< (B, T, pt p p c_out) fp32, the final linear layer's output
  const float* x_0;                    ///< (B, C, [F,] H, W) fp32
  const float* noise;                  ///< (B, C, [F,] H, W) fp32
  const std::int32_t* t;               ///< (B) in 0 .. 999
  const ops::StepCoefficients* table;  ///< (1000) step_coefficients()
  LatentShape shape;
  std::int64_t batch;  ///< B
  bool learn_sigma;    ///< c_out = 2 C, the first half epsilon, the second the variance; otherwise c_out = C
};

/// loss[b] (B) double = mse + vb, both means over the C F H W values; vb is KL(q || p) in bits, at t = 0 the
/// discretised Gaussian's negative log likelihood in bits, and 0 without learn_sigma. The gradient of vb
/// flows to the variance output only. mse and vb (B) double are written where not null. gradient (B, T, pt p
/// p c_out), T = float or bf16 = d (loss_scale x sum of loss[b]) / d tokens; null: not wanted.
template <class T>
void diffusion_loss(Cpu& cpu, const DiffusionLossInput& input, float loss_scale, T* gradient, double* loss, double* mse,
                    double* vb);
template <class T>
void diffusion_loss(Cuda& cuda, const DiffusionLossInput& input, float loss_scale, T* gradient, double* loss,
                    double* mse, double* vb);

}  // namespace gpumonth::ops
