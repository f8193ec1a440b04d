// Which steps of the schedule a sampler takes, and what each does: the reference's respacing (space_timesteps,
// SpacedDiffusion), its p_sample and its ddim_sample with eta 0.
#pragma once

#include <string>
#include <vector>

#include "trainer/ops/diffusion.h"
#include "trainer/ops/reverse_step.h"

namespace gpumonth::trainer {

constexpr int kFewestSamplingSteps = 2;  ///< the reference's respacing to one step has no posterior variance

enum class Sampler {
  ddpm,        ///< Ho et al., arXiv:2006.11239, with the learned variance of arXiv:2102.09672
  ddim,        ///< Song et al., arXiv:2010.02502, eta 0: no noise but what it begins with
  consistency  ///< of a consistency model, arXiv:2303.01469, algorithm 1: x_0 at once, noised again between the steps
};
const char* name(Sampler sampler);  ///< "ddpm", "ddim", "consistency"
/// UserError where it is none.
Sampler sampler_named(const std::string& name);

/// `count` of 0 .. 999, ascending, with the first and the last: (count - 1) equal strides, rounded half to even.
/// UserError where count is not from kFewestSamplingSteps to ops::kDiffusionSteps.
std::vector<int> space_timesteps(int count);

/// `count` of 0 .. 999, descending from 999 in equal strides of 1000 / count, rounded up: 999, 749, 499, 249. UserError
/// where count is not from 1 to ops::kDiffusionSteps.
std::vector<int> consistency_timesteps(int count);

/// The steps of the process in the order of sampling, from the noisiest on. learn_sigma, of ddpm: the variance is the network's
/// in the range that the schedule gives; otherwise the largest of that range, as the reference's (FIXED_LARGE).
std::vector<ops::ReverseStep> reverse_steps(Sampler sampler, int count, bool learn_sigma);

}  // namespace gpumonth::trainer
