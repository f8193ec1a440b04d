// Runs whose losses follow a known law.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"
#include "scaling/loss/loss_law.h"
#include "scaling/loss/loss_runs.h"

namespace gpumonth::tests {

/// Near what procedural shapes give: most of the loss is not the floor.
inline scaling::LossLaw planted_law() { return {0.08, 4.0, 0.35, 60.0, 0.42}; }

/// Sizes x budgets with C = 6 N D; losses off by factors exp(scatter z).
inline std::vector<scaling::LossRun> planted_runs(const scaling::LossLaw& law, double scatter, NormalDraws& normal,
                                                  const std::vector<double>& sizes = {5e4, 1e5, 2.5e5, 6e5, 1.3e6},
                                                  const std::vector<double>& budgets = {1e12, 2.5e12, 6e12, 1.5e13}) {
  std::vector<scaling::LossRun> runs;
  for (const double flops : budgets)
    for (const double size : sizes) {
      scaling::LossRun run{.name = "r" + std::to_string(runs.size()), .parameters = size, .model_flops = flops};
      run.tokens = flops / (6 * size);
      run.samples = run.tokens / 64;
      run.loss = law.loss(run.parameters, run.tokens) * std::exp(scatter * normal());
      runs.push_back(run);
    }
  return runs;
}

}  // namespace gpumonth::tests
