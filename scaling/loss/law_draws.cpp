#include "scaling/loss/law_draws.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "base/sampling_distributions.h"

namespace gpumonth::scaling {
namespace {

constexpr double kBend = 1.345;      // sigmas
constexpr double kFirstBend = 1e-3;  // of log loss, as Hoffmann et al.: before the scatter is known

double relative_error(const LossRun& run) { return run.standard_error / run.loss; }

std::vector<LawPoint> law_points(std::span<const LossRun> runs) {
  std::vector<LawPoint> points;
  for (const auto& run : runs) points.push_back({run.parameters, run.tokens, std::log(run.loss), kFirstBend});
  return points;
}

std::vector<double> residuals_of(const LossLaw& law, std::span<const LossRun> runs) {
  std::vector<double> residuals;
  for (const auto& run : runs) residuals.push_back(std::log(run.loss) - std::log(law.loss(run.parameters, run.tokens)));
  return residuals;
}

/// Sum of squared residuals over their variances, where runs scatter by `between` besides their own errors.
double weighted_squares(std::span<const double> residuals, std::span<const LossRun> runs, double between) {
  double sum = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const double own = relative_error(runs[i]);
    sum += residuals[i] * residuals[i] / std::max(1e-20, between * between + own * own);
  }
  return sum;
}

/// The scatter that makes that sum its expectation, `freedom` (Mandel and Paule 1970); 0 where the errors explain it all.
double scatter_between(std::span<const double> residuals, std::span<const LossRun> runs, double freedom) {
  if (weighted_squares(residuals, runs, 0) <= freedom) return 0;
  double low = 0, high = 0;
  for (const double r : residuals) high += std::abs(r);
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (weighted_squares(residuals, runs, middle) > freedom ? low : high) = middle;
  }
  return high;
}

}  // namespace

double ScatteredLaw::scatter() const {
  double squares = 0;
  for (const double sigma : sigmas) squares += sigma * sigma / static_cast<double>(sigmas.size());
  return std::sqrt(squares);
}

double ScatteredLaw::sigma_of(double relative) const { return factor * std::hypot(between, relative); }

ScatteredLaw fit_scattered_law(std::span<const LossRun> runs) {
  ScatteredLaw fitted;
  fitted.freedom = static_cast<double>(runs.size()) - kLawParameters;
  auto points = law_points(runs);
  fitted.law = fit_loss_law(points, 1);
  std::vector<double> residuals;
  for (int round = 0; round < 4; ++round) {
    residuals = residuals_of(fitted.law, runs);
    fitted.between = scatter_between(residuals, runs, fitted.freedom);
    fitted.factor = std::min(1.0, std::sqrt(weighted_squares(residuals, runs, fitted.between) / fitted.freedom));
    fitted.sigmas.clear();
    constexpr double kLeast = 1e-9;  // losses that lie on the law exactly
    for (const auto& run : runs) fitted.sigmas.push_back(std::max(kLeast, fitted.sigma_of(relative_error(run))));
    if (round == 3) break;
    for (std::size_t i = 0; i < points.size(); ++i) points[i].sigma = fitted.sigmas[i];
    fitted.law = fit_loss_law(points, kBend, fitted.law);
  }
  for (std::size_t i = 0; i < runs.size(); ++i) fitted.deviates.push_back(residuals[i] / fitted.sigmas[i]);
  return fitted;
}

LawDraw draw_law(const ScatteredLaw& fitted, std::span<const LossRun> runs, std::mt19937_64& random) {
  LawDraw draw;
  double squares = 0;
  for (const double z : fitted.deviates) squares += z * z / static_cast<double>(runs.size());
  draw.spread = std::sqrt(fitted.freedom / chi_squared_quantile(fitted.freedom, unit_interval(random())));
  const double scale = squares > 0 ? draw.spread / std::sqrt(squares) : 0;
  auto points = law_points(runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const double deviate = fitted.deviates[random() % runs.size()];
    const double sign = (random() & 1) != 0 ? 1 : -1;  // twice as many different ones
    draw.scattered.push_back(sign * deviate * fitted.sigmas[i] * scale);
    points[i].log_loss = std::log(fitted.law.loss(runs[i].parameters, runs[i].tokens)) + draw.scattered.back();
    points[i].sigma = fitted.sigmas[i];
  }
  draw.law = fit_loss_law(points, kBend, fitted.law);
  return draw;
}

}  // namespace gpumonth::scaling
