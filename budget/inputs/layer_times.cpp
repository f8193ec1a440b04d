#include "budget/inputs/layer_times.h"

#include <fmt/format.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "base/block_length.h"
#include "base/error.h"
#include "base/quantile.h"
#include "base/sampling_distributions.h"
#include "budget/inputs/block_flops.h"
#include "scaling/bootstrap.h"

namespace gpumonth::budget {
namespace {

constexpr int kLayerDraws = 1000;
constexpr std::size_t kMostValues = 4096;  // of a longer log neighbours are taken together, by their median

using Points = std::vector<std::pair<double, double>>;  // tokens, seconds

/// Minimises sum((a T + b T^2) / t - 1)^2: two columns, scaled to the longest length.
LayerCoefficients relative_least_squares(const Points& points) {
  double longest = 0;
  for (const auto& [tokens, seconds] : points) longest = std::max(longest, tokens);
  Eigen::MatrixXd columns(points.size(), 2);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double u = points[i].first / longest;
    columns.row(static_cast<Eigen::Index>(i)) << u / points[i].second, u * u / points[i].second;
  }
  const Eigen::Vector2d best =
      columns.colPivHouseholderQr().solve(Eigen::VectorXd::Ones(static_cast<Eigen::Index>(points.size())));
  return {best[0] / longest, best[1] / (longest * longest)};
}

std::vector<double> shortened(std::vector<double> values) {
  const std::size_t together = (values.size() + kMostValues - 1) / kMostValues;
  if (together <= 1) return values;
  std::vector<double> medians;
  for (std::size_t i = 0; i < values.size(); i += together) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(i);
    const auto count = static_cast<std::ptrdiff_t>(std::min(together, values.size() - i));
    medians.push_back(quantile({first, first + count}, 0.5));
  }
  return medians;
}

/// Medians of forward and of all, of the same steps: drawn in blocks of neighbours, round the end to the start.
class MedianDraws {
 public:
  explicit MedianDraws(const LayerLog& log)
      : forward_(shortened(log.forward_s)), all_(shortened(log.all_s)), block_(block_length(all_)) {}

  std::pair<double, double> draw(std::mt19937_64& random) const {
    const std::size_t n = all_.size();
    std::vector<double> forward, all;
    scaling::draw_blocks(n, block_, random, [&](std::size_t start, std::size_t count) {
      for (std::size_t i = start; i < start + count; ++i) {
        forward.push_back(forward_[i % n]);
        all.push_back(all_[i % n]);
      }
    });
    return {quantile(forward, 0.5), quantile(all, 0.5)};
  }

 private:
  std::vector<double> forward_, all_;
  std::size_t block_;
};

LayerTimes fit_points(const Points& forward, const Points& all) {
  return {relative_least_squares(forward), relative_least_squares(all)};
}

std::vector<LayerTimes> bootstrapped(const std::vector<LayerLog>& logs) {
  std::vector<MedianDraws> medians(logs.begin(), logs.end());
  std::mt19937_64 random(20241127);  // its sequence is fixed by the C++ standard
  std::vector<LayerTimes> draws;
  for (int d = 0; d < kLayerDraws; ++d) {
    Points forward, all;
    for (std::size_t i = 0; i < logs.size(); ++i) {
      const auto [f, a] = medians[i].draw(random);
      forward.emplace_back(logs[i].tokens, f);
      all.emplace_back(logs[i].tokens, a);
    }
    draws.push_back(fit_points(forward, all));
  }
  return draws;
}

/// 90 %: Student's t times the residuals' spread.
double error_of_residuals(const Points& points, const LayerCoefficients& fitted) {
  double squares = 0;
  for (const auto& [tokens, seconds] : points) squares += std::pow(fitted.seconds(tokens) / seconds - 1, 2);
  const double freedom = static_cast<double>(points.size()) - 2;
  return students_t_quantile(freedom, 0.95) * std::sqrt(squares / freedom);
}

std::string names_of(const std::vector<LayerLog>& logs) {
  std::string names;
  for (const auto& log : logs) names += (names.empty() ? "" : ", ") + log.path;
  return names;
}

/// A draw's b may fall below 0, where steps are noisier than attention is long; time does not.
BlockParts seconds_at(const LayerCoefficients& c, double tokens) {
  return {std::max(0.0, c.linear_s_per_token * tokens), std::max(0.0, c.attention_s_per_token2 * tokens * tokens)};
}

}  // namespace

LayerFit fit_layers(std::vector<LayerLog> logs) {
  std::ranges::stable_sort(logs, {}, &LayerLog::tokens);
  LayerFit fit{.logs = std::move(logs)};
  std::set<double> lengths;
  Points forward, all;
  for (const auto& log : fit.logs) {
    lengths.insert(log.tokens);
    forward.emplace_back(log.tokens, quantile(log.forward_s, 0.5));
    all.emplace_back(log.tokens, quantile(log.all_s, 0.5));
  }
  fit.lengths = lengths.size();
  if (fit.lengths < 2)
    user_error(
        "{}: one length of samples says nothing of how a block's time grows: add a log of the same model with "
        "other frames or another input_size",
        names_of(fit.logs));
  fit.times = fit_points(forward, all);
  const auto& [a, b] = fit.times.all;
  if (!(a > 0) || !(b > 0))
    user_error(
        "{}: the times of a block do not grow as a T + b T^2 (a = {:.3g} s, b = {:.3g} s): measure at lengths that "
        "lie further apart, on an idle machine",
        names_of(fit.logs), a, b);
  fit.draws = bootstrapped(fit.logs);
  fit.has_residual = fit.lengths > 2;
  fit.model_error = fit.has_residual ? error_of_residuals(all, fit.times.all) : kStatedModelError;
  return fit;
}

LayerUtilisation utilisation_at(const LayerFit& fit, const model::ModelConfig& model, double peak_flops_per_s,
                                const std::string& recompute, const LengthShares& lengths) {
  const auto of = [&](const LayerTimes& times) {
    return harmonic_mean(lengths, [&](double tokens) {
      const double seconds = with_recompute(seconds_at(times.forward, tokens), seconds_at(times.all, tokens), recompute,
                                            recomputed_share(model));
      return 3 * block_forward_flops(model, tokens).total() / (peak_flops_per_s * seconds);
    });
  };
  std::vector<double> drawn;
  for (const auto& times : fit.draws) drawn.push_back(of(times));
  LayerUtilisation result{.middle = of(fit.times), .low = 0, .high = 0};
  const auto widened = [&](double end) { return std::exp(std::hypot(std::log(end / result.middle), fit.model_error)); };
  result.low = result.middle / widened(std::min(result.middle, quantile(drawn, 0.05)));
  result.high = std::min(1.0, result.middle * widened(std::max(result.middle, quantile(drawn, 0.95))));
  return result;
}

}  // namespace gpumonth::budget
