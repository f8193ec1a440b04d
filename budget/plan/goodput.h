// What failures cost: of the time on the cluster, the share in which training moves forward.
//
//   Young 1974, "A first order approximation to the optimum checkpoint interval", Comm. ACM 17(9)
//   Daly 2006, "A higher order estimate of the optimum checkpoint interval for restart dumps", FGCS 22(3)
//
// One failure stops all GPUs; failures are independent and equally likely at all times.
#pragma once

#include "budget/inputs/monte_carlo.h"

namespace gpumonth::budget {

/// Mean seconds between failures of a job on `gpus` GPUs: 3,600 / (rate per GPU-hour x gpus); infinite for a rate of 0.
Column mean_time_between_failures_s(const Column& failures_per_gpu_hour, double gpus);

/// Young's interval between checkpoints, sqrt(2 write x mtbf), s.
Column young_interval_s(const Column& write_s, const Column& mtbf_s);

/// Daly's higher-order interval: Young's x (1 + sqrt(x)/3 + x/9) - write with x = write / (2 mtbf);
/// mtbf where write >= 2 mtbf. At least 1 us, so that a checkpoint that costs nothing divides by nothing.
Column daly_interval_s(const Column& write_s, const Column& mtbf_s);

/// First order: lost share = write / interval + interval / (2 mtbf) + restart / mtbf. For interval << mtbf.
Column first_order_loss(const Column& interval_s, const Column& write_s, const Column& restart_s, const Column& mtbf_s);

/// Daly's complete model for exponential failures, also where failures are frequent:
/// forward share = interval / (mtbf exp(restart / mtbf) (exp((interval + write) / mtbf) - 1)). Its limit, 1, where the
/// mtbf is infinite: nothing fails, and no checkpoint need be written.
Column forward_share(const Column& interval_s, const Column& write_s, const Column& restart_s, const Column& mtbf_s);

/// Samples needed with this batch over those needed with a small one, to the same loss: 1 + batch / critical
/// (McCandlish et al. 2018, arXiv 1812.06162: (S/S_min - 1)(E/E_min - 1) = 1 with critical =
/// E_min/S_min gives E/E_min = 1 + B/B_crit).
Column samples_over_minimum(double batch, const Column& critical_batch);

}  // namespace gpumonth::budget
