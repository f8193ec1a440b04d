#include "budget/class_utilisation.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/sampling_distributions.h"

namespace gpumonth::budget {
namespace {

/// The bills of one family.
struct Family {
  std::vector<double> logits;
  double variance = 0;  ///< sum over the bills, of their FLOPs' ranges

  double size() const { return static_cast<double>(logits.size()); }
  double mean() const {
    double sum = 0;
    for (const double y : logits) sum += y;
    return sum / size();
  }
  double squares() const {  ///< about the mean
    double sum = 0;
    for (const double y : logits) sum += (y - mean()) * (y - mean());
    return sum;
  }
};
using Families = std::map<std::string, Family>;  // by name

Families families_of(const std::vector<Bill>& bills, const std::string& utilisation_class,
                     const std::string& left_out) {
  Families families;
  for (const auto& bill : bills) {
    if (bill.utilisation_class != utilisation_class || (!left_out.empty() && bill.family == left_out)) continue;
    Family& family = families[bill.family];
    family.logits.push_back(bill.logit);
    family.variance += bill.variance;
  }
  return families;
}

/// Variance of one training about its family's mean; 0 where no family has two bills: then that between holds both.
double variance_within(const Families& families) {
  double squares = 0, freedom = 0;
  for (const auto& [name, family] : families) {
    squares += family.squares();
    freedom += family.size() - 1;
  }
  return freedom > 0 ? squares / freedom : 0;
}

/// A family's mean and the variance that it has of itself.
struct Effect {
  double mean, variance;
};

/// Mean of the families, weighted by 1 / (between + own variance); the error of it; the weighted squares about it.
struct Pooled {
  double mean = 0, variance = 0, squares = 0;
};
Pooled pool(const std::vector<Effect>& effects, double between) {
  double weights = 0, sum = 0;
  for (const auto& e : effects) {
    weights += 1 / (between + e.variance);
    sum += e.mean / (between + e.variance);
  }
  Pooled pooled{sum / weights, 1 / weights, 0};
  for (const auto& e : effects)
    pooled.squares += (e.mean - pooled.mean) * (e.mean - pooled.mean) / (between + e.variance);
  return pooled;
}

/// Paule and Mandel: the variance with which the weighted squares are as many as their degrees of freedom; 0 where the
/// families differ by no more than their own variances.
double variance_between(const std::vector<Effect>& effects) {
  constexpr double kWidest = 100;  // of logits: from 1e-4 to 1
  constexpr int kHalvings = 60;
  constexpr double kLeast = 1e-12;  // keeps weights finite where nothing varies
  const double freedom = static_cast<double>(effects.size()) - 1;
  double low = kLeast, high = kWidest;
  if (pool(effects, low).squares <= freedom) return low;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = 0.5 * (low + high);
    (pool(effects, middle).squares > freedom ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

double of_logit(double logit) { return 1 / (1 + std::exp(-logit)); }

}  // namespace

std::optional<ClassUtilisation> class_utilisation(const std::vector<Bill>& bills, const std::string& utilisation_class,
                                                  const std::string& left_out) {
  const Families families = families_of(bills, utilisation_class, left_out);
  const double within = variance_within(families);
  ClassUtilisation result{.name = utilisation_class};
  std::vector<Effect> effects;
  for (const auto& [name, family] : families) {
    result.bills += family.logits.size();
    effects.push_back({family.mean(), (within + family.variance / family.size()) / family.size()});
  }
  result.families = effects.size();
  if (result.families < kFewestFamilies) return std::nullopt;
  const double between = variance_between(effects);
  const Pooled pooled = pool(effects, between);
  const double reach = students_t_quantile(static_cast<double>(result.families) - 1, 0.95) *
                       std::sqrt(between + within + pooled.variance);
  result.between = std::sqrt(between);
  result.within = std::sqrt(within);
  result.low = of_logit(pooled.mean - reach);
  result.median = of_logit(pooled.mean);
  result.high = of_logit(pooled.mean + reach);
  return result;
}

}  // namespace gpumonth::budget
