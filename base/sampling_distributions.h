// Distributions that statistics of normal samples follow. One place that compiles them: their headers take seconds.
#pragma once

namespace gpumonth {

/// Where Student's t with `freedom` degrees, > 0, is below with `probability`, in (0, 1).
double students_t_quantile(double freedom, double probability);
/// Probability of a t that is larger.
double students_t_upper(double freedom, double t);
double chi_squared_quantile(double freedom, double probability);
double chi_squared_upper(double freedom, double statistic);

}  // namespace gpumonth
