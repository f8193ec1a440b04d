#include "scaling/fit/shapes.h"

#include <cmath>

#include "base/normal.h"

namespace gpumonth::scaling {

double half_t2(double u, double scale) {
  const double upper = normal_upper(u);
  const double q = 1 - upper;
  return scale * q * std::sqrt(2 / (upper * (1 + q) + 1e-300));
}

int CurveShape::dimension() const {
  if (growth == Growth::components) return 1;
  return 1 + (batch_varies ? 1 : 0) + (growth == Growth::none ? 0 : 1) + (growth == Growth::usl ? 1 : 0);
}

ShapeParameters CurveShape::parameters(const double* u, const Priors& priors) const {
  if (growth == Growth::components) return {u[0], 0, 0, 0};
  ShapeParameters p{};
  p[0] = half_t2(*u++, priors.all_reduce);
  if (batch_varies) p[1] = half_t2(*u++, priors.fixed);
  if (growth != Growth::none) p[2] = half_t2(*u++, priors.growth);
  if (growth == Growth::usl) p[3] = half_t2(*u++, 0.1 * priors.growth);
  return p;
}

double CurveShape::log_value(const ShapeParameters& p, double ranks, double batch) const {
  if (growth == Growth::components) {
    const StepForecast forecast = (*step_model)(ranks, batch);
    return std::log(forecast.step_s / batch) + p[0] * forecast.relative_sd;
  }
  const double per_sample = batch_reference / batch;
  double s = 1 + (p[1] + p[0] * (1 - 1 / ranks)) * per_sample;
  const double relative = (ranks - 1) / ranks_max;
  switch (growth) {
    case Growth::none:
    case Growth::components: break;
    case Growth::log2_ranks: s += p[2] * std::log2(ranks) * per_sample; break;
    case Growth::straggler: s += p[2] * std::sqrt(2 * std::log(ranks)); break;
    case Growth::linear: s += p[2] * relative * per_sample; break;
    case Growth::amdahl: s += p[2] * relative; break;
    case Growth::usl: s += p[2] * relative + p[3] * relative * ranks / ranks_max; break;
  }
  return std::log(s);
}

std::string name(Growth growth) {
  switch (growth) {
    case Growth::none: return "ideal";
    case Growth::log2_ranks: return "log2 N";
    case Growth::straggler: return "sqrt(2 ln N)";
    case Growth::linear: return "N";
    case Growth::amdahl: return "Amdahl";
    case Growth::usl: return "USL";
    case Growth::components: return "components";
  }
  return "";
}

std::string formula(Growth growth) {
  switch (growth) {
    case Growth::none: return "nothing grows with N beyond (N-1)/N";
    case Growth::log2_ranks: return "every doubling of ranks adds the same time to a step (tree latency, more hops)";
    case Growth::straggler: return "the slowest of N ranks: compute x sqrt(2 ln N)";
    case Growth::linear: return "every rank adds the same time to a step (ring latency)";
    case Growth::amdahl: return "a serial share of each sample's work";
    case Growth::usl: return "a serial share and coherence between pairs of ranks, kappa >= 0";
    case Growth::components: return "compute, all-reduce, overlap and stragglers as measured in the run logs";
  }
  return "";
}

}  // namespace gpumonth::scaling
