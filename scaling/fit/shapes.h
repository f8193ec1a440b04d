// Shapes of a scaling curve: the rank-seconds that one sample costs, relative to pure compute.
//
//   N / X(N, b) = c s(N, b),   s = 1 + (fixed + all_reduce (N-1)/N + growth L(N)) b_ref/b
//
// X: samples/s of all ranks, N: ranks, b: batch per rank, b_ref: the middle of the curve's, sqrt(b_min
// b_max). A step takes c b + (fixed + ...) c b_ref seconds: compute in proportion to the batch, and
// communication that does not shrink with it. So a curve whose batch per rank falls as N grows needs no
// second kind of model, and with b = B/N this is Amdahl's law.
#pragma once

#include <array>
#include <functional>
#include <string>

#include "scaling/fit/priors.h"

namespace gpumonth::scaling {

enum class Growth { none, log2_ranks, straggler, linear, amdahl, usl, components };

/// The step time that measured parts predict (scaling/fit/components.h), with its relative standard error.
struct StepForecast {
  double step_s = 0, relative_sd = 0;
};
using StepModel = std::function<StepForecast(double ranks, double batch_per_rank)>;

constexpr int kMaxShapeParameters = 4;
using ShapeParameters = std::array<double, kMaxShapeParameters>;

struct CurveShape {
  Growth growth = Growth::none;
  double ranks_max = 1, batch_reference = 1;  ///< of the curve: references of the scales
  bool batch_varies = false;                  ///< else `fixed` cannot be told from compute and is left out
  const StepModel* step_model = nullptr;      ///< of Growth::components

  int dimension() const;  ///< how many standard normals make the parameters
  /// {all_reduce, fixed, growth, kappa} under the priors, none negative; of `components` {error in standard errors}.
  ShapeParameters parameters(const double* u, const Priors& priors) const;
  double log_value(const ShapeParameters& p, double ranks, double batch) const;  ///< log s(N, b)
};

std::string name(Growth growth);     ///< "log2 N"
std::string formula(Growth growth);  ///< what grows, for people

/// The value below which a standard normal's probability mass puts a half-t with 2 degrees of freedom and
/// this scale: scale q sqrt(2 / (1 - q^2)) at q = Phi(u). (Shaw 2006, eq. 35, for the t's quantile.)
double half_t2(double u, double scale);

}  // namespace gpumonth::scaling
