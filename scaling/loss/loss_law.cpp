#include "scaling/loss/loss_law.h"

#include <ceres/tiny_solver.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gpumonth::scaling {
namespace {

/// Sizes and data relative to their geometric means: A and a are nearly uncorrelated then, and so are B and b.
struct Centre {
  double log_parameters = 0, log_tokens = 0;
};

Centre centre_of(std::span<const LawPoint> points) {
  Centre c;
  for (const auto& p : points) {
    c.log_parameters += std::log(p.parameters) / static_cast<double>(points.size());
    c.log_tokens += std::log(p.tokens) / static_cast<double>(points.size());
  }
  return c;
}

using LawVector = Eigen::Matrix<double, kLawParameters, 1>;  ///< log of A and B at the centre, of a, b and E

LossLaw law_of(const LawVector& x, const Centre& c) {
  const double a = std::exp(x[1]), b = std::exp(x[3]);
  return {std::exp(x[4]), std::exp(x[0] + a * c.log_parameters), a, std::exp(x[2] + b * c.log_tokens), b};
}

LawVector vector_of(const LossLaw& law, const Centre& c) {
  constexpr double kLeast = 1e-12;  // a term that has vanished can come back
  LawVector x;
  x << std::log(law.n_scale) - law.n_exponent * c.log_parameters, std::log(law.n_exponent),
      std::log(law.d_scale) - law.d_exponent * c.log_tokens, std::log(law.d_exponent),
      std::log(std::max(kLeast, law.floor));
  return x;
}

/// For ceres::TinySolver, which minimises half of the sum of squares: the root of twice Huber's loss stands for a residual.
class LawResiduals {
 public:
  using Scalar = double;
  enum { NUM_RESIDUALS = Eigen::Dynamic, NUM_PARAMETERS = kLawParameters };

  LawResiduals(std::span<const LawPoint> points, const Centre& centre, double huber)
      : points_(points), centre_(centre), huber_(huber) {}
  int NumResiduals() const { return static_cast<int>(points_.size()); }

  /// `jacobian`: (points, parameters), column-major, or null.
  bool operator()(const double* x, double* residuals, double* jacobian) const {
    const double a = std::exp(x[1]), b = std::exp(x[3]);
    const std::size_t n = points_.size();
    for (std::size_t i = 0; i < n; ++i) {
      const auto& p = points_[i];
      const double size = std::log(p.parameters) - centre_.log_parameters;
      const double data = std::log(p.tokens) - centre_.log_tokens;
      const double of_size = std::exp(x[0] - a * size), of_data = std::exp(x[2] - b * data), floor = std::exp(x[4]);
      const double loss = of_size + of_data + floor;
      const double residual = (std::log(loss) - p.log_loss) / p.sigma;
      const bool far = std::abs(residual) > huber_;
      const double root = far ? std::sqrt(huber_ * (2 * std::abs(residual) - huber_)) : std::abs(residual);
      residuals[i] = std::copysign(root, residual);
      if (jacobian == nullptr) continue;
      const double slope = (far ? huber_ / root : 1) / (p.sigma * loss);
      jacobian[i] = slope * of_size;
      jacobian[i + n] = -slope * of_size * a * size;
      jacobian[i + 2 * n] = slope * of_data;
      jacobian[i + 3 * n] = -slope * of_data * b * data;
      jacobian[i + 4 * n] = slope * floor;
    }
    return std::all_of(residuals, residuals + n, [](double r) { return std::isfinite(r); });
  }

 private:
  std::span<const LawPoint> points_;
  Centre centre_;
  double huber_;
};

struct Solved {
  LawVector x = LawVector::Zero();
  double cost = std::numeric_limits<double>::infinity();
};

Solved solve_law(const LawResiduals& residuals, const LawVector& start) {
  ceres::TinySolver<LawResiduals> solver;
  solver.options.max_num_iterations = 300;
  // Hoffmann's fit ended too early by its tolerance on a loss that was averaged (Besiroglu et al., arXiv 2404.10102): here
  // it is the sum, and the tolerances are those of rounding.
  solver.options.gradient_tolerance = 1e-12;
  solver.options.parameter_tolerance = 1e-10;
  solver.options.function_tolerance = 1e-12;
  solver.options.cost_threshold = 1e-24;
  Solved solved{start};
  const auto& summary = solver.Solve(residuals, &solved.x);
  if (std::isfinite(summary.final_cost) && solved.x.allFinite()) solved.cost = summary.final_cost;
  return solved;
}

std::vector<LawVector> starts_of(std::span<const LawPoint> points) {
  double lowest = std::numeric_limits<double>::infinity(), mean = 0;
  for (const auto& p : points) {
    lowest = std::min(lowest, std::exp(p.log_loss));
    mean += std::exp(p.log_loss) / static_cast<double>(points.size());
  }
  std::vector<LawVector> starts;
  for (const double a : {0.2, 0.5, 1.0})
    for (const double b : {0.2, 0.5, 1.0})
      for (const double floor : {0.1, 0.5, 0.9}) {
        const double rest = std::log((mean - floor * lowest) / 2);
        starts.push_back(LawVector{rest, std::log(a), rest, std::log(b), std::log(floor * lowest)});
      }
  return starts;
}

}  // namespace

double LossLaw::loss(double parameters, double tokens) const {
  return floor + n_scale * std::pow(parameters, -n_exponent) + d_scale * std::pow(tokens, -d_exponent);
}

OptimalSplit optimal_split(const LossLaw& law, const FlopsLaw& flops) {
  // D = C / (k N^g). The derivative over log N is zero where a A / N^a = g b B / D^b.
  const double a = law.n_exponent, b = law.d_exponent, g = flops.exponent, k = flops.scale;
  OptimalSplit split;
  split.n_exponent = b / (a + g * b);
  split.n_scale = std::pow(a * law.n_scale / (g * b * law.d_scale), 1 / (a + g * b)) * std::pow(k, -split.n_exponent);
  split.d_exponent = 1 - g * split.n_exponent;
  split.d_scale = std::pow(split.n_scale, -g) / k;
  return split;
}

LossLaw fit_loss_law(std::span<const LawPoint> points, double huber, const std::optional<LossLaw>& start) {
  const Centre centre = centre_of(points);
  const LawResiduals residuals(points, centre, huber);
  Solved best;
  for (const auto& x : start ? std::vector{vector_of(*start, centre)} : starts_of(points)) {
    const Solved solved = solve_law(residuals, x);
    if (solved.cost < best.cost) best = solved;
  }
  return law_of(best.x, centre);
}

FlopsLaw fit_flops_law(std::span<const SizedCost> runs) {
  double n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (const auto& run : runs) {
    const double size = std::log(run.parameters), cost = std::log(run.flops_per_token);
    n += 1;
    x += size;
    y += cost;
    xx += size * size;
    xy += size * cost;
  }
  const double spread = xx - x * x / n;
  const double exponent = spread > 1e-9 ? (xy - x * y / n) / spread : 1;
  return {std::exp((y - exponent * x) / n), exponent};
}

}  // namespace gpumonth::scaling
