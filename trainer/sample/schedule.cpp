#include "trainer/sample/schedule.h"

#include <cmath>
#include <optional>

#include "base/error.h"
#include "trainer/ops/consistency.h"

namespace gpumonth::trainer {
namespace {

/// The schedule in which `timesteps` of the full one follow each other.
ops::DiffusionSchedule spaced_schedule(const std::vector<int>& timesteps) {
  const ops::DiffusionSchedule full;
  std::vector<double> betas;
  double last = 1;
  for (const int t : timesteps) {
    const double cumulative = full.alphas_cumprod[static_cast<std::size_t>(t)];
    betas.push_back(1 - cumulative / last);
    last = cumulative;
  }
  return ops::DiffusionSchedule(betas);
}

/// mean of q(x_{t-1} | x_t, x_0) where x_0 = r x_t - m epsilon, and its log variance.
void set_ddpm(const ops::DiffusionSchedule& s, std::size_t i, bool learn_sigma, ops::ReverseStep& step) {
  step.x_scale =
      static_cast<float>(s.posterior_mean_coef1[i] * s.sqrt_recip_alphas_cumprod[i] + s.posterior_mean_coef2[i]);
  step.epsilon_scale = static_cast<float>(-s.posterior_mean_coef1[i] * s.sqrt_recipm1_alphas_cumprod[i]);
  const double least = s.posterior_log_variance_clipped[i];
  if (learn_sigma) {
    step.min_log_variance = static_cast<float>(least);
    step.log_variance_range = static_cast<float>(s.log_betas[i] - least);
  } else {
    step.min_log_variance = static_cast<float>(i == 0 ? least : s.log_betas[i]);
  }
  step.adds_noise = i > 0;
}

/// sqrt(alpha_bar of the step before) x_0 + sqrt(1 - it) epsilon, with the same x_0.
void set_ddim(const ops::DiffusionSchedule& s, std::size_t i, ops::ReverseStep& step) {
  const double before = i == 0 ? 1 : s.alphas_cumprod[i - 1];
  step.x_scale = static_cast<float>(std::sqrt(before) * s.sqrt_recip_alphas_cumprod[i]);
  step.epsilon_scale = static_cast<float>(std::sqrt(1 - before) - std::sqrt(before) * s.sqrt_recipm1_alphas_cumprod[i]);
}

/// f(x_t, t), and where there is a timestep after it, that with the noise of it.
void set_consistency(const ops::DiffusionSchedule& s, int t, std::optional<int> next, ops::ReverseStep& step) {
  const ops::ConsistencyScale f = ops::consistency_scale(s, t);
  const double signal = next ? s.sqrt_alphas_cumprod[static_cast<std::size_t>(*next)] : 1;
  step.x_scale = static_cast<float>(signal * f.x);
  step.epsilon_scale = static_cast<float>(signal * f.epsilon);
  step.adds_noise = next.has_value();
  if (next)
    step.min_log_variance =
        static_cast<float>(2 * std::log(s.sqrt_one_minus_alphas_cumprod[static_cast<std::size_t>(*next)]));
}

std::vector<ops::ReverseStep> consistency_steps(int count) {
  const std::vector<int> timesteps = consistency_timesteps(count);
  const ops::DiffusionSchedule schedule;
  std::vector<ops::ReverseStep> steps;
  for (std::size_t i = 0; i < timesteps.size(); ++i) {
    ops::ReverseStep step{.t = timesteps[i], .number = static_cast<std::uint32_t>(i) + 1};
    const auto next = i + 1 < timesteps.size() ? std::optional(timesteps[i + 1]) : std::nullopt;
    set_consistency(schedule, timesteps[i], next, step);
    steps.push_back(step);
  }
  return steps;
}

constexpr const char* kSamplers[] = {"ddpm", "ddim", "consistency"};

}  // namespace

const char* name(Sampler sampler) { return kSamplers[static_cast<int>(sampler)]; }

Sampler sampler_named(const std::string& text) {
  for (const Sampler sampler : {Sampler::ddpm, Sampler::ddim, Sampler::consistency})
    if (text == name(sampler)) return sampler;
  user_error("'{}' is no sampler: ddpm, ddim or consistency", text);
}

std::vector<int> consistency_timesteps(int count) {
  if (count < 1 || count > ops::kDiffusionSteps)
    user_error("{} sampling steps: the schedule has {}, ask for 1 to {}", count, ops::kDiffusionSteps,
               ops::kDiffusionSteps);
  std::vector<int> timesteps;
  for (int i = 0; i < count; ++i) timesteps.push_back(ops::kDiffusionSteps - 1 - ops::kDiffusionSteps * i / count);
  return timesteps;
}

std::vector<int> space_timesteps(int count) {
  if (count < kFewestSamplingSteps || count > ops::kDiffusionSteps)
    user_error("{} sampling steps: the schedule has {}, ask for {} to {}", count, ops::kDiffusionSteps,
               kFewestSamplingSteps, ops::kDiffusionSteps);
  const double stride = static_cast<double>(ops::kDiffusionSteps - 1) / (count - 1);
  std::vector<int> timesteps;
  double at = 0;  // added up as the reference does, so that the same halves are rounded
  for (int i = 0; i < count; ++i, at += stride) timesteps.push_back(static_cast<int>(std::nearbyint(at)));
  return timesteps;
}

std::vector<ops::ReverseStep> reverse_steps(Sampler sampler, int count, bool learn_sigma) {
  if (sampler == Sampler::consistency) return consistency_steps(count);
  const std::vector<int> timesteps = space_timesteps(count);
  const ops::DiffusionSchedule schedule = spaced_schedule(timesteps);
  std::vector<ops::ReverseStep> steps;
  for (std::size_t i = timesteps.size(); i-- > 0;) {
    ops::ReverseStep step{.t = timesteps[i], .number = static_cast<std::uint32_t>(steps.size()) + 1};
    if (sampler == Sampler::ddpm)
      set_ddpm(schedule, i, learn_sigma, step);
    else
      set_ddim(schedule, i, step);
    steps.push_back(step);
  }
  return steps;
}

}  // namespace gpumonth::trainer
