// A critical batch from published convergence points: how many samples a model needed to the same loss at several
// batches. Form: McCandlish et al. 2018 (arXiv 1812.06162), samples(B) = least x (1 + B / critical), as
// samples_over_minimum() of goodput.h has it.
#pragma once

#include <vector>

namespace gpumonth::budget {

struct ConvergencePoint {
  double batch = 0;    ///< samples per step
  double samples = 0;  ///< to the target
};

struct CriticalBatch {
  double least_samples = 0;  ///< with a batch far below the critical one
  double critical = 0;       ///< samples
  double error = 0;          ///< standard error of `critical`, from the points' distances to the line
};

/// Least squares of the relative distances, (samples - line) / samples. std::invalid_argument: fewer than three points,
/// two of them at least at other batches; one that is not positive; samples that do not grow with the batch.
CriticalBatch fit_critical_batch(const std::vector<ConvergencePoint>& points);

}  // namespace gpumonth::budget
