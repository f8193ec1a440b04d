// The learning rate of a step: a function of the configuration and the step's number alone, so that a resumed run goes on
// with the same bits.
#pragma once

#include <cstdint>

#include "trainer/run_config.h"

namespace gpumonth::trainer {

/// optimizer.learning_rate x rise x fall. Steps count from 1; r is optimizer.final_ratio, N run.steps, W
/// optimizer.warmup_steps, D optimizer.decay_steps.
///
///   rise      step / W up to step W, then 1
///   constant  fall = 1
///   cosine    fall = r + (1 - r) (1 + cos(pi (step - W) / (N - W))) / 2 behind step W: one half wave, without restarts
///             (Loshchilov & Hutter, arXiv:1608.03983)
///   wsd       fall = 1 up to step N - D, then r + (1 - r) (1 - sqrt((step - (N - D)) / D)): warm-up, stable, decay (Hu et
///             al., arXiv:2404.06395) with the decay that Haegele et al., arXiv:2405.18392, found better than a linear one
///
/// Both falls reach r at step N.
double learning_rate(const RunConfig& config, std::int64_t step);

}  // namespace gpumonth::trainer
