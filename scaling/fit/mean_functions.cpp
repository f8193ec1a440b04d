#include "scaling/fit/mean_functions.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/normal.h"

namespace gpumonth::scaling {
namespace {

constexpr std::array kSlopes{0.0, .004, .008, .016, .032, .064, .128, .256};
constexpr std::array kShares{0.0, .005, .01, .02, .04, .08, .16, .3, .5, .75, 1.0};
constexpr std::array kErrors{-2.0, -1.0, 0.0, 1.0, 2.0};  // standard errors of measured parts

double logit(double p) { return std::log(p / (1 - p)); }

/// Log-normal at the grid's values, but for the chance that there is no slope.
std::vector<double> slope_prior(const Constants& c) {
  std::vector<double> weight{c.no_slope};
  double sum = 0;
  for (std::size_t i = 1; i < kSlopes.size(); ++i) {
    const double z = (std::log(kSlopes[i]) - std::log(c.slope_median)) / c.slope_log_sd;
    weight.push_back(std::exp(-0.5 * z * z));
    sum += weight.back();
  }
  for (std::size_t i = 1; i < weight.size(); ++i) weight[i] *= (1 - c.no_slope) / sum;
  return weight;
}

/// Logit-normal over cells half way between the grid's values in logit, but for the chance that there is none.
std::vector<double> share_prior(const Constants& c) {
  constexpr double kLargest = 0.97;  // what 1 counts as
  std::vector<double> edges;
  for (std::size_t i = 2; i < kShares.size(); ++i)
    edges.push_back((logit(kShares[i - 1]) + logit(std::min(kShares[i], kLargest))) / 2);
  std::vector<double> weight{c.no_share};
  double before = 0;
  for (std::size_t i = 0; i <= edges.size(); ++i) {
    const double upto = i < edges.size() ? normal_cdf((edges[i] - logit(c.share_median)) / c.share_logit_sd) : 1;
    weight.push_back((1 - c.no_share) * (upto - before));
    before = upto;
  }
  return weight;
}

std::array<double, kGrowths.size()> growth_prior(const Constants& c) {
  const double sum = c.saturating + c.log_ranks + c.sqrt_ranks + c.linear;
  return {c.saturating / sum, c.log_ranks / sum, c.sqrt_ranks / sum, c.linear / sum};
}

void add_components(const Constants& c, std::vector<MeanFunction>& all) {
  for (auto& f : all) f.log_prior += std::log1p(-c.components);
  double sum = 0;
  for (const double z : kErrors) sum += std::exp(-0.5 * z * z);
  for (const double z : kErrors)
    all.push_back({Growth::components, z, 0, std::log(c.components) - 0.5 * z * z - std::log(sum)});
}

}  // namespace

ShareGrid share_grid(const Constants& constants) {
  ShareGrid grid{{kShares.begin(), kShares.end()}, {}};
  for (const double weight : share_prior(constants)) grid.log_prior.push_back(std::log(weight));
  return grid;
}

std::vector<MeanFunction> mean_functions(const Constants& c, bool with_share, bool with_components) {
  const auto kinds = growth_prior(c);
  const auto slopes = slope_prior(c);
  const auto shares = share_grid(c);
  std::vector<MeanFunction> all;
  for (std::size_t kind = 0; kind < kGrowths.size(); ++kind)
    for (std::size_t s = 0; s < kSlopes.size(); ++s)
      for (std::size_t q = 0; q < (with_share ? kShares.size() : 1); ++q) {
        const double log_prior = std::log(kinds[kind]) + std::log(slopes[s]) + (with_share ? shares.log_prior[q] : 0);
        if (std::isfinite(log_prior)) all.push_back({kGrowths[kind], kSlopes[s], kShares[q], log_prior});
      }
  if (with_components) add_components(c, all);
  return all;
}

double growth(Growth kind, double slope, double r) {
  if (kind == Growth::log_ranks) return slope * std::log2(r);
  if (kind == Growth::saturating) return slope / std::numbers::ln2 * (1 - 1 / r);
  const double exponent = kind == Growth::sqrt_ranks ? 0.5 : 1;
  const double p = std::min(slope / (exponent * std::numbers::ln2), 1.0);
  return std::log(1 - p + p * std::pow(r, exponent));
}

double batch_term(double share, double last_batch_over_batch) {
  return std::log(1 - share + share * last_batch_over_batch);
}

double log_cost(const StepModel& parts, double errors, const Place& place) {
  const StepForecast step = parts(place.ranks, place.batch);
  return std::log(step.step_s / place.batch) + errors * step.relative_sd;
}

std::string name(Growth growth) {
  switch (growth) {
    case Growth::saturating: return "saturating";
    case Growth::log_ranks: return "log N";
    case Growth::sqrt_ranks: return "sqrt N";
    case Growth::linear: return "linear";
    case Growth::components: return "components";
  }
  return "";
}

std::string formula(Growth growth) {
  switch (growth) {
    case Growth::saturating: return "1 - 1/N: paid once, as from one rank to several";
    case Growth::log_ranks: return "log N: trees, hierarchical all-reduces";
    case Growth::sqrt_ranks: return "sqrt N: what gets worse faster than log N";
    case Growth::linear: return "N: serial work, Amdahl's law";
    case Growth::components: return "measured compute, communication and stragglers";
  }
  return "";
}

}  // namespace gpumonth::scaling
