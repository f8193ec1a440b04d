// The posterior of a scaling curve over a fixed grid, exactly: no sampler, no seed.
//
//   y_i = a + f(N_i, b_i) + level_i + noise_i,      y = log(N / X), i = 1 .. n in order of N
//
// f is one of the mean functions, a is flat. The level walks from the first point on; a step's variance is
//   k^2 (walk^2 |log2 N_i/N_{i-1}| + batch_walk^2 |log2 b_i/b_{i-1}|) + host_walk^2 [N from <= 8 to more],
// the noise's k^2 noise^2. Roughness k is one of {1/4, 1/2, 1, 2, 4}, equally likely: some curves are clean to 0.3 %, some
// not to 5 %, and this mixture is what gives heavy tails. One fault at most: none, or one point is an outlier, or there is
// a break in one of the steps. Repeats at one place tell their noise themselves, where it is more than that.
//
// Given fault and k, y is normal with covariance K_ij = A + min(V_i, V_j) + [i = j] noise_i, V the walk's variance up to a
// point and A = 9, so the weight of (fault, k, f) is prior |K|^-1/2 exp(-R' K^-1 R / 2), R = y - f: one factorisation per
// (fault, k), as K does not depend on f. A forecast is the mixture of the conditional normals.
#pragma once

#include <Eigen/Cholesky>
#include <vector>

#include "scaling/fit/mean_functions.h"
#include "scaling/fit/mixture.h"
#include "scaling/fit/observations.h"

namespace gpumonth::scaling {

class Posterior {
 public:
  /// `data` in order, at least one. `parts` null: none; else it outlives this.
  Posterior(std::vector<Observation> data, const Constants& constants, const StepModel* parts);

  /// Of log(N / X) at a place: of one more measurement, or of the mean of many.
  Mixture forecast(const Place& place, bool of_one_measurement) const;
  /// Of log(N / X) there minus the same here, of the means: what both share cancels.
  Mixture difference(const Place& there, const Place& here) const;
  /// Log of the density of all points, prior and faults integrated out.
  double log_evidence() const { return log_evidence_; }

  /// Posterior probability of one growth; its prior; the mean slope per doubling at the last point, given it.
  struct GrowthBelief {
    Growth growth;
    double prior = 0, probability = 0, slope = 0;
  };
  const std::vector<GrowthBelief>& growths() const { return growths_; }
  bool reads_batch() const { return with_share_; }  ///< the batch per rank differs between points
  /// Of the share of the last step that a smaller batch does not shrink: that there is none, and quantiles.
  double no_share() const { return no_share_; }
  double share_quantile(double probability) const;
  /// Posterior probabilities: of outlier i (a point), of break i (the step after point i).
  const std::vector<double>& outliers() const { return outliers_; }
  const std::vector<double>& breaks() const { return breaks_; }
  double roughness() const { return roughness_; }  ///< k, posterior median
  double noise_variance(double k) const;           ///< of one measurement, without faults

 private:
  struct Covariance {  // of one (fault, k)
    double k = 1, log_prior = 0;
    Eigen::VectorXd walked, noise;  // V, and the noise's variance
    Eigen::LLT<Eigen::MatrixXd> factor;
    double log_determinant = 0;
  };
  struct Component {
    std::size_t covariance = 0, function = 0;
    double weight = 0;
  };
  struct Conditional {                 // at a place, of one (fault, k)
    Eigen::VectorXd gain, covariance;  // K^-1 c and c, with the points
    double walked = 0;                 // V there
    bool before_first = false;         // V is of a walk back from the first point
  };
  double repeat_variance() const;  ///< of repeats around the mean of their place, pooled; 0 without any
  void add_covariances();
  void weigh();
  void summarize(const Eigen::MatrixXd& log_weight);
  Eigen::VectorXd values(const MeanFunction& f) const;  ///< at the points, relative to the last
  double value(const MeanFunction& f, double share, const Place& place) const;
  double walk_variance(double k, const Place& from, const Place& to) const;
  Conditional conditional(const Covariance& c, const Place& place) const;
  /// f(component, weight, share) for what weighs enough, with the prior's shares where no point tells of them.
  template <class F>
  void for_each_component(const Place& there, const Place& here, F&& f) const;

  std::vector<Observation> data_;
  Constants constants_;
  const StepModel* parts_;
  bool with_share_ = false;
  double repeat_variance_ = 0;
  std::vector<MeanFunction> functions_;
  std::vector<Covariance> covariances_;
  Eigen::MatrixXd residual_;  // (points, functions)
  std::vector<Component> components_;
  double log_evidence_ = 0;
  std::vector<GrowthBelief> growths_;
  std::vector<double> share_probability_, outliers_, breaks_;
  double no_share_ = 0, roughness_ = 1;
};

}  // namespace gpumonth::scaling
