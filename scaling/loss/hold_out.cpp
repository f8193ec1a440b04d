// Runs left out, forecast from the others, and compared with what they turned out to be.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "base/format.h"
#include "base/normal.h"
#include "base/number_text.h"
#include "base/quantile.h"
#include "base/random.h"
#include "scaling/loss/loss_fit.h"

namespace gpumonth::scaling {
namespace {

struct Parted {
  std::string what;
  std::vector<LossRun> kept, out;
};

template <class Is>
Parted parted_by(const std::vector<LossRun>& runs, std::string what, const Is& is_out) {
  Parted parted{std::move(what), {}, {}};
  for (const auto& run : runs) (is_out(run) ? parted.out : parted.kept).push_back(run);
  return parted;
}

Parted part_by_size(const std::vector<LossRun>& runs, const std::string& which) {
  const auto wanted = parse_number(which);
  if (!wanted)
    user_error("--hold-out {}: is neither largest nor largest-budget nor a number of parameters, e.g. 1.28e6", which);
  const auto near =
      std::ranges::min_element(runs, {}, [&](const LossRun& run) { return std::abs(run.parameters - *wanted); });
  const double size = near->parameters;
  if (std::abs(size - *wanted) > 0.05 * size)
    user_error("--hold-out {}: no run has so many parameters; the nearest has {:.0f}", which, size);
  return parted_by(runs, fmt::format("the size of {} parameters", compact(size)),
                   [&](const LossRun& run) { return run.parameters == size; });
}

Parted part_runs(const std::vector<LossRun>& runs, const std::string& which) {
  if (which == "largest") {
    const double size = std::ranges::max_element(runs, {}, &LossRun::parameters)->parameters;
    return parted_by(runs, fmt::format("the largest size, {} parameters", compact(size)),
                     [&](const LossRun& run) { return run.parameters == size; });
  }
  if (which == "largest-budget") {
    const double flops = std::ranges::max_element(runs, {}, &LossRun::model_flops)->model_flops;
    return parted_by(runs, fmt::format("the largest budget, {} FLOP", scientific(flops)),
                     [&](const LossRun& run) { return run.model_flops * (1 + kSameBudget) >= flops; });
  }
  return part_by_size(runs, which);
}

}  // namespace

HeldOut hold_out(const std::vector<LossRun>& runs, const std::string& which, int draws) {
  const Parted parted = part_runs(runs, which);
  if (parted.kept.size() < kFewestLossRuns)
    user_error("--hold-out {}: {} runs are left, fewer than the {} that a law needs: hold out less or train more",
               which, parted.kept.size(), kFewestLossRuns);
  const ScatteredLaw fitted = fit_scattered_law(parted.kept);
  HeldOut result{
      parted.what, {}, parted.kept.size(), std::ranges::min_element(parted.kept, {}, &LossRun::tokens)->tokens};
  std::vector<std::vector<double>> drawn(parted.out.size());
  std::mt19937_64 random(20220330);
  NormalDraws normal(20220331);
  for (int i = 0; i < draws; ++i) {
    const LawDraw draw = draw_law(fitted, parted.kept, random);
    for (std::size_t r = 0; r < parted.out.size(); ++r) {
      const auto& run = parted.out[r];
      const double scatter = fitted.sigma_of(run.standard_error / run.loss) * draw.spread * normal();
      drawn[r].push_back(draw.law.loss(run.parameters, run.tokens) * std::exp(scatter));
    }
  }
  for (std::size_t r = 0; r < parted.out.size(); ++r) {
    const auto& run = parted.out[r];
    HeldOutRun& row = result.runs.emplace_back();
    row.run = run;
    row.forecast = {fitted.law.loss(run.parameters, run.tokens), quantile(drawn[r], 0.05), quantile(drawn[r], 0.95)};
    row.error = row.forecast.value / run.loss - 1;
    row.inside = row.forecast.low <= run.loss && run.loss <= row.forecast.high;
  }
  return result;
}

}  // namespace gpumonth::scaling
