// A mixture of normal distributions: what a forecast is.
#pragma once

#include <cstddef>
#include <vector>

namespace gpumonth::scaling {

class Mixture {
 public:
  /// `weight` need not be normalised; `sd` above 0.
  void add(double weight, double mean, double sd) { parts_.push_back({weight, mean, sd}); }
  /// Once, after the last part: drops parts that weigh less than 1e-7 of the heaviest, and normalises.
  void finish();

  double cdf(double x) const;
  double log_density(double x) const;  ///< never below log(1e-300)
  /// Where cdf() is `probability`.
  double quantile(double probability) const;
  /// Ascending: the quantiles (i + 1/2) / count, between those of a fine grid by straight lines.
  std::vector<double> quantiles(std::size_t count) const;

 private:
  struct Part {
    double weight, mean, sd;
  };
  std::vector<Part> parts_;
  double low_ = 0, high_ = 0;  // beyond which there is nothing
};

}  // namespace gpumonth::scaling
