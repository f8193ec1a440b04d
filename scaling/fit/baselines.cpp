#include "scaling/fit/baselines.h"

#include <ceres/ceres.h>

#include <array>
#include <cmath>
#include <limits>

namespace gpumonth::scaling {
namespace {

struct Point {
  double ranks, throughput;
};

std::vector<Point> medians(const ScalingCurve& curve) {
  std::vector<Point> result;
  for (const auto& g : groups(curve)) {
    const auto ranks = static_cast<double>(g.ranks);
    if (!result.empty() && result.back().ranks == ranks)
      result.back().throughput = g.samples_per_s;
    else
      result.push_back({ranks, g.samples_per_s});
  }
  return result;
}

/// Log residual of x1 N / (1 + s (N-1) + k N (N-1)); parameters are log x1, s, k.
struct ScalabilityResidual {
  Point point;
  template <class T>
  bool operator()(const T* log_x1, const T* s, const T* k, T* residual) const {
    const double n = point.ranks;
    residual[0] = log_x1[0] + std::log(n) - log(1.0 + s[0] * (n - 1) + k[0] * n * (n - 1)) - std::log(point.throughput);
    return true;
  }
};

double fit_scalability(const std::vector<Point>& points, bool with_kappa, double ranks) {
  double best_cost = std::numeric_limits<double>::infinity(), best = 0;
  // Several starts: with few points the valley between s and k is flat.
  for (const double start : {1e-5, 1e-3, 1e-1}) {
    double log_x1 = std::log(points.front().throughput / points.front().ranks), s = start,
           k = with_kappa ? start * 1e-3 : 0;
    ceres::Problem problem;
    for (const Point& point : points)
      problem.AddResidualBlock(
          new ceres::AutoDiffCostFunction<ScalabilityResidual, 1, 1, 1, 1>(new ScalabilityResidual{point}), nullptr,
          &log_x1, &s, &k);
    problem.SetParameterLowerBound(&s, 0, 0);
    problem.SetParameterLowerBound(&k, 0, 0);
    problem.SetParameterUpperBound(&s, 0, 1);
    problem.SetParameterUpperBound(&k, 0, 1);
    if (!with_kappa) problem.SetParameterBlockConstant(&k);
    ceres::Solver::Options options;
    options.logging_type = ceres::SILENT;
    options.linear_solver_type = ceres::DENSE_QR;  // three unknowns; the default is for sparse matrices
    options.max_num_iterations = 200;
    options.num_threads = 1;
    options.function_tolerance = 1e-12;
    ceres::Solver::Summary summary;
    ceres::Solve(options, &problem, &summary);
    if (summary.final_cost >= best_cost) continue;
    best_cost = summary.final_cost;
    best = std::exp(log_x1) * ranks / (1 + s * (ranks - 1) + k * ranks * (ranks - 1));
  }
  return best;
}

/// One hypothesis of Extra-P's performance model normal form, for one parameter and one term.
struct Hypothesis {
  double exponent = 0;
  int log_exponent = 0;
  double term(double n) const { return std::pow(n, exponent) * std::pow(std::log2(n), log_exponent); }
};

/// Least squares of y = c0 + c1 term(N); c1 = 0 for the constant.
std::array<double, 2> solve(const std::vector<Point>& points, const Hypothesis* h, std::size_t left_out) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (i == left_out) continue;
    const double y = points[i].ranks / points[i].throughput, x = h ? h->term(points[i].ranks) : 0;
    n += 1, sx += x, sy += y, sxx += x * x, sxy += x * y;
  }
  const double determinant = n * sxx - sx * sx;
  if (!h || std::abs(determinant) < 1e-14 * n * sxx) return {sy / n, 0};
  const double slope = (n * sxy - sx * sy) / determinant;
  return {(sy - slope * sx) / n, slope};
}

double leave_one_out(const std::vector<Point>& points, const Hypothesis* h) {
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto c = solve(points, h, i);
    const double y = points[i].ranks / points[i].throughput;
    const double error = c[0] + c[1] * (h ? h->term(points[i].ranks) : 0) - y;
    sum += error * error;
  }
  return sum;
}

double forecast_extrap(const std::vector<Point>& points, double ranks) {
  constexpr std::size_t kNothing = std::numeric_limits<std::size_t>::max();
  // The exponents of Extra-P 4's default single-parameter modeler.
  constexpr Hypothesis kHypotheses[] = {
      {0, 1},       {0, 2},      {1. / 4, 0}, {1. / 3, 0}, {1. / 4, 1}, {1. / 3, 1}, {1. / 4, 2}, {1. / 3, 2},
      {1. / 2, 0},  {1. / 2, 1}, {1. / 2, 2}, {2. / 3, 0}, {3. / 4, 0}, {2. / 3, 1}, {3. / 4, 1}, {4. / 5, 0},
      {4. / 5, 1},  {2. / 3, 2}, {3. / 4, 2}, {1, 0},      {1, 1},      {1, 2},      {5. / 4, 0}, {5. / 4, 1},
      {4. / 3, 0},  {4. / 3, 1}, {3. / 2, 0}, {3. / 2, 1}, {3. / 2, 2}, {5. / 3, 0}, {7. / 4, 0}, {2, 0},
      {2, 1},       {2, 2},      {9. / 4, 0}, {7. / 3, 0}, {5. / 2, 0}, {5. / 2, 1}, {5. / 2, 2}, {8. / 3, 0},
      {11. / 4, 0}, {3, 0},      {3, 1}};
  const Hypothesis* best = nullptr;
  double smallest = leave_one_out(points, nullptr);
  if (points.size() >= 3)
    for (const auto& h : kHypotheses)
      if (const double error = leave_one_out(points, &h); error < smallest) smallest = error, best = &h;
  const auto c = solve(points, best, kNothing);
  const double cost = c[0] + c[1] * (best ? best->term(ranks) : 0);
  // A negative cost is no forecast; the smallest positive one keeps the error finite and large.
  return ranks / std::max(cost, 1e-3 * points.back().ranks / points.back().throughput);
}

}  // namespace

std::string name(Baseline baseline) {
  switch (baseline) {
    case Baseline::ideal: return "ideal";
    case Baseline::amdahl: return "Amdahl";
    case Baseline::usl: return "USL";
    case Baseline::extrap: return "Extra-P-like";
  }
  return "";
}

double forecast(Baseline baseline, const ScalingCurve& curve, std::int64_t ranks) {
  const auto points = medians(curve);
  const auto n = static_cast<double>(ranks);
  switch (baseline) {
    case Baseline::ideal: return points.back().throughput / points.back().ranks * n;
    case Baseline::amdahl: return fit_scalability(points, false, n);
    case Baseline::usl: return fit_scalability(points, true, n);
    case Baseline::extrap: return forecast_extrap(points, n);
  }
  return 0;
}

}  // namespace gpumonth::scaling
