// How far a law of losses can be trusted: the scatter of runs about it, and what the law would have been, had the runs
// scattered otherwise. docs/method.md, "Loss against compute".
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "scaling/loss/loss_law.h"
#include "scaling/loss/loss_runs.h"

namespace gpumonth::scaling {

/// A law, and how runs scatter about it: log loss = log L(N, D) + factor x sqrt(between^2 + (standard error / loss)^2) x z.
struct ScatteredLaw {
  LossLaw law;
  double between = 0;  ///< of runs beyond their own standard errors, in log loss
  double factor = 1;   ///< below 1 where standard errors are larger than the scatter, as those of paired samples
  double freedom = 0;  ///< runs less kLawParameters
  std::vector<double> sigmas;    ///< by run: what its log loss is off by, factor included
  std::vector<double> deviates;  ///< by run: (log loss - log law) / sigma

  double scatter() const;                        ///< root mean square of the sigmas
  double sigma_of(double relative_error) const;  ///< of a run with this standard error / loss
};

/// Huber's loss bends at 1.345 sigmas, where it has 95 % of the efficiency of least squares on normal scatter. At least
/// kLawParameters + 1 runs.
ScatteredLaw fit_scattered_law(std::span<const LossRun> runs);

/// One draw of the bootstrap over runs: losses about the law by deviates that are drawn among the runs' own, times a spread
/// that is drawn too (freedom / chi^2, so that few runs give intervals like Student's t), and the law of these losses.
struct LawDraw {
  LossLaw law;
  double spread = 1;              ///< of this draw; times the sigmas
  std::vector<double> scattered;  ///< by run: what was added to its log loss
};
LawDraw draw_law(const ScatteredLaw& fitted, std::span<const LossRun> runs, std::mt19937_64& random);

}  // namespace gpumonth::scaling
