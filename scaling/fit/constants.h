// What is believed about a scaling curve before it is seen. The same for every curve; `gpumonth fit --learn` finds them
// anew from tables of curves, and docs/method.md says what each came out as when whole families were left out.
#pragma once

namespace gpumonth::scaling {

struct Constants {
  // All scales are relative: of log throughput.
  double noise = 0.0015;      ///< standard deviation of one measurement, at roughness 1
  double walk = 0.018;        ///< of the level's walk, per sqrt(doubling of ranks), at roughness 1
  double batch_walk = 0.025;  ///< the same per sqrt(doubling of the batch per rank)
  double host_walk = 0.04;    ///< once, from 8 ranks or fewer to more: what was measured inside a host knows no network
  double outlier_probability = 0.05, outlier_sd = 0.1;  ///< of one point, whose noise then is that much larger
  /// Of a break between two points, or per doubling beyond the last, which costs break_mean there; known breaks went
  /// either way.
  double break_probability = 0.04, break_sd = 0.23, break_mean = 0.27;
  /// Slope of the growth at the last point, log slowdown per doubling: none with this probability, else log-normal.
  double no_slope = 0.06, slope_median = 0.017, slope_log_sd = 0.85;
  /// Share of the last point's step that a smaller batch does not shrink: none with this probability, else logit-normal.
  double no_share = 0.3, share_median = 0.1, share_logit_sd = 1.1;
  double saturating = 0.35, log_ranks = 0.6, sqrt_ranks = 0.9, linear = 0.55;  ///< weights of the kinds of growth
  /// Measured parts of steps say more than a shape: they weigh as much as all shapes together before the first point.
  double components = 0.5;
};

/// All of them by name, as --learn and JSON call them.
struct NamedConstant {
  const char* name;
  double Constants::*member;
};
inline constexpr NamedConstant kConstants[] = {{"noise", &Constants::noise},
                                               {"walk", &Constants::walk},
                                               {"batch_walk", &Constants::batch_walk},
                                               {"host_walk", &Constants::host_walk},
                                               {"outlier_probability", &Constants::outlier_probability},
                                               {"outlier_sd", &Constants::outlier_sd},
                                               {"break_probability", &Constants::break_probability},
                                               {"break_sd", &Constants::break_sd},
                                               {"break_mean", &Constants::break_mean},
                                               {"no_slope", &Constants::no_slope},
                                               {"slope_median", &Constants::slope_median},
                                               {"slope_log_sd", &Constants::slope_log_sd},
                                               {"no_share", &Constants::no_share},
                                               {"share_median", &Constants::share_median},
                                               {"share_logit_sd", &Constants::share_logit_sd},
                                               {"saturating", &Constants::saturating},
                                               {"log_ranks", &Constants::log_ranks},
                                               {"sqrt_ranks", &Constants::sqrt_ranks},
                                               {"linear", &Constants::linear},
                                               {"components", &Constants::components}};

}  // namespace gpumonth::scaling
