// Loss against compute, from the runs that were made: the law, the best size and data for a compute, and the forecast of runs
// that were held out. docs/method.md, "Loss against compute".
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "scaling/loss/isoflop.h"
#include "scaling/loss/law_draws.h"
#include "scaling/loss/loss_law.h"
#include "scaling/loss/loss_runs.h"

namespace gpumonth::scaling {

/// A number with its 90 % interval; NaN where the runs do not say it.
struct LossEstimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN(), high = std::numeric_limits<double>::quiet_NaN();
};

struct LawEstimates {
  LossEstimate floor, n_scale, n_exponent, d_scale, d_exponent;  ///< E, A, a, B, b
};

/// N = n_scale x C^n_exponent, D = d_scale x C^d_exponent.
struct SplitEstimates {
  OptimalSplit split;
  LossEstimate n_exponent, d_exponent;
};

struct BudgetEstimates {
  IsoflopBudget budget;
  LossEstimate parameters, tokens, loss;  ///< at the lowest point
};

/// A run that the law did not see.
struct HeldOutRun {
  LossRun run;
  LossEstimate forecast;  ///< 90 % of such runs: the law's uncertainty and the scatter of runs about it
  double error = 0;       ///< forecast / loss - 1
  bool inside = false;
};

struct HeldOut {
  std::string what;  ///< "the largest size, 1.28 M parameters"
  std::vector<HeldOutRun> runs;
  std::size_t law_of = 0;    ///< runs that the forecast is from
  double fewest_tokens = 0;  ///< that one of these saw
};

struct LossFit {
  LossRuns data;
  ScatteredLaw fitted;
  FlopsLaw flops;
  LawEstimates law;
  SplitEstimates by_law;  ///< the optimum in closed form
  std::vector<BudgetEstimates> budgets;
  SplitEstimates by_parabolas;  ///< exponents NaN below two budgets with their lowest point inside
  std::vector<HeldOut> held_out;
  std::vector<std::string> notes;
};

struct LossFitOptions {
  std::vector<std::string> hold_out;  ///< "largest", "largest-budget", or a number of parameters, as "1.28e6"
  int draws = 1000;                   ///< of the bootstrap
};

/// Seeded: the same runs give the same intervals. Throws UserError: fewer than kFewestLossRuns runs, fewer than
/// kFewestSizes sizes, no budget that as many sizes share, one budget, nothing or too much to hold out.
LossFit fit_loss(const LossRuns& data, const LossFitOptions& options = {});
constexpr std::size_t kFewestLossRuns = 8;

/// The runs that `hold_out` names, forecast from the others.
HeldOut hold_out(const std::vector<LossRun>& runs, const std::string& which, int draws);

std::string to_text(const LossFit& fit);
/// With laws[] as a scenario's data.laws reads them.
Json to_json(const LossFit& fit);

}  // namespace gpumonth::scaling
