// The law of Hoffmann et al. (arXiv 2203.15556, approach 3): what loss a model of N parameters has after D tokens,
//   L(N, D) = E + A / N^a + B / D^b,
// fitted on the logarithm of losses as they do it: log-sum-exp of the three terms, Huber's loss, many starts.
// docs/method.md, "Loss against compute".
#pragma once

#include <optional>
#include <span>
#include <vector>

namespace gpumonth::scaling {

struct LossLaw {
  double floor = 0;                    ///< E
  double n_scale = 0, n_exponent = 0;  ///< A, a
  double d_scale = 0, d_exponent = 0;  ///< B, b

  double loss(double parameters, double tokens) const;
};

/// C = scale x N^exponent x D, of the runs that were made: 6 and 1 where all of a model works on every token.
struct FlopsLaw {
  double scale = 6, exponent = 1;
};

/// Of a compute C: N = n_scale x C^n_exponent, D = d_scale x C^d_exponent, where the law's loss is lowest. In closed form.
struct OptimalSplit {
  double n_scale = 0, n_exponent = 0, d_scale = 0, d_exponent = 0;
};
OptimalSplit optimal_split(const LossLaw& law, const FlopsLaw& flops);

/// One run as the law's fit sees it.
struct LawPoint {
  double parameters = 0, tokens = 0;
  double log_loss = 0;
  double sigma = 1;  ///< what its log loss is off by, up to a factor that is common to all
};

constexpr int kLawParameters = 5;

/// The law that minimises the sum of Huber's loss of (log L - log_loss) / sigma, quadratic up to `huber` and linear beyond.
/// From `start` alone where there is one; else from 27 starts, of which the best counts. At least kLawParameters points.
LossLaw fit_loss_law(std::span<const LawPoint> points, double huber,
                     const std::optional<LossLaw>& start = std::nullopt);

/// Least squares in logarithms; exponent 1 where all runs have one size.
struct SizedCost {
  double parameters = 0, flops_per_token = 0;
};
FlopsLaw fit_flops_law(std::span<const SizedCost> runs);

}  // namespace gpumonth::scaling
