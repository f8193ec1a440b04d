// The gradient noise scale of a run (McCandlish et al. 2018, arXiv:1812.06162): the batch from which on more samples a step
// save fewer and fewer steps, from norms of gradients over two batches. docs/method.md has the formulas.
#pragma once

#include <cstdint>
#include <string>

#include "runlog/record.h"
#include "scaling/bootstrap.h"

namespace gpumonth::scaling {

struct NoiseScale {
  std::int64_t steps = 0;  ///< that were averaged; 0: the log does not tell, and nothing below is known
  std::int64_t first_step = 0, last_step = 0;
  double small_batch = 0, batch = 0;  ///< samples of the two gradients, means over these steps
  double squared_gradient = 0;        ///< |G|^2 of the true gradient, unbiased: may be below 0 where noise hides it
  double trace = 0;                   ///< S: of the covariance of one sample's gradient
  /// B_simple = trace / squared_gradient, samples; infinity where squared_gradient is not above 0.
  double samples = 0;
  Interval interval{0, 0};  ///< 90 %, samples; high is infinity where noise hides the gradient
};

/// Over the last half of the log's steps, as the noise scale grows while a model learns. A ratio of means; its interval is of
/// blocks of steps. Steps whose norms are not finite are left out; fewer than 20 tell nothing, nor do steps whose small
/// gradients are not larger than the whole (the trace is not told from 0).
NoiseScale noise_scale(const runlog::Run& run);

/// "gradient noise scale 312 samples (90 % interval 250 to 401), over steps 151 to 300, from gradients of 16 and 32 samples";
/// empty where it is not known.
std::string to_text(const NoiseScale& scale);

}  // namespace gpumonth::scaling
