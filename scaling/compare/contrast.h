// Tests of contrasts between cell means whose variance is a sum of components, each estimated on its own.
//
// A contrast matrix L (k, cells) of cell means m has covariance V = sum_i v_i M_i, M_i = L diag(w_i) L', v_i
// with f_i degrees of freedom. F = (L m)' V^-1 (L m) / k is referred to F(k, f), f after Fai and Cornelius
// (Journal of Statistical Computation and Simulation 54, 1996): with u_j the eigenvectors of V,
// Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946)
//   f_j = (u_j' V u_j)^2 / sum_i ((v_i u_j' M_i u_j)^2 / f_i),   E = sum_j f_j / (f_j - 2),   f = 2 E / (E - k).
// For k = 1 that is Welch's t. With one component it is the F test of a linear model, exact for normal noise.
#pragma once

#include <Eigen/Dense>
#include <limits>
#include <vector>

namespace gpumonth::scaling {

/// Adds variance x weight[c] to the variance of the mean of cell c.
struct NoiseComponent {
  Eigen::VectorXd weight;  ///< (cells)
  double variance = 0;
  double freedom = std::numeric_limits<double>::infinity();  ///< infinity: known, not estimated
};

struct ContrastTest {
  double statistic = 0;  ///< F
  double p_value = 1;
  int contrasts = 0;   ///< k
  double freedom = 0;  ///< f
};

/// L (k, cells) has full row rank; at least one component has finite degrees of freedom.
ContrastTest test_contrasts(const Eigen::MatrixXd& L, const Eigen::VectorXd& means,
                            const std::vector<NoiseComponent>& noise);

struct ContrastError {
  double standard_error = 0, freedom = 0;
  double t(double confidence) const;  ///< two-sided quantile of Student's t: t(0.9) = 1.81 for 10 degrees of freedom
  double p_value(double difference) const;  ///< two-sided, of Student's t
};

/// Of one contrast, Satterthwaite's degrees of freedom.
ContrastError contrast_error(const Eigen::VectorXd& contrast, const std::vector<NoiseComponent>& noise);

/// Power of the F test at `level` against a noncentrality.
double power_of_f(double noncentrality, int contrasts, double freedom, double level);

/// The noncentrality at which the F test at `level` has this power; NaN where none is found.
double noncentrality_for(double power, int contrasts, double freedom, double level);

}  // namespace gpumonth::scaling
