// An input as a distribution: what the Monte Carlo draws from. low and high are the 5 % and 95 % quantiles
// (the ends themselves where the distribution is uniform), median the 50 % one. A median that is not half-way
// gives a two-piece distribution: each side keeps its own width (Wallis 2014, "The two-piece normal,
// binormal, or double Gaussian").
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace gpumonth::budget {

struct Number;

enum class DistributionShape { fixed, lognormal, logit_normal, normal, uniform, log_uniform };

const char* name(DistributionShape shape);
/// "lognormal", "logit-normal", "normal", "uniform", "log-uniform".
const std::vector<std::string>& shape_names();
/// Throws std::invalid_argument for another word.
DistributionShape parse_shape(const std::string& word);

struct Distribution {
  DistributionShape shape = DistributionShape::fixed;
  double low = 0, median = 0, high = 0;
  double min = -std::numeric_limits<double>::infinity();  ///< draws beyond are set to it: the key's allowed range
  double max = std::numeric_limits<double>::infinity();

  /// The value below which a share u of the draws lies, 0 < u < 1. Its median is `median` except for uniform ones.
  double quantile(double u) const;
};

/// The distribution of a number of which nothing but its range is said: log-normal, because factors multiply
/// and nothing is below 0; logit-normal where only 0 to 1 is allowed; uniform where an end stands on such a limit.
Distribution distribution_of(double low, double high, double min, double max);

/// The same where a median (NaN: none) or a shape (empty: none) is given. Throws std::invalid_argument, in
/// words for the user, where they do not go together.
Distribution distribution_of(double low, double median, double high, double min, double max, const std::string& shape);

}  // namespace gpumonth::budget
