#include "scaling/loss/loss_fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "base/error.h"
#include "base/quantile.h"

namespace gpumonth::scaling {
namespace {

constexpr std::uint64_t kSeed = 20220329;  // of every bootstrap here

/// `value` with the middle 90 % of the draws; without, where one in twenty of them has no such number.
LossEstimate with_interval(double value, std::vector<double> drawn) {
  LossEstimate estimate{.value = value};
  const std::size_t all = drawn.size();
  std::erase_if(drawn, [](double x) { return !std::isfinite(x); });
  if (!std::isfinite(value) || 20 * drawn.size() < 19 * all || drawn.empty()) return estimate;
  estimate.low = quantile_in_place(drawn, 0.05);
  estimate.high = quantile_in_place(drawn, 0.95);
  return estimate;
}

std::set<double> sizes_of(const std::vector<LossRun>& runs) {
  std::set<double> sizes;
  for (const auto& run : runs) sizes.insert(run.parameters);
  return sizes;
}

void check_enough(const std::vector<LossRun>& runs) {
  constexpr const char* kHint = "train several sizes with several budgets each, as jobs/isoflop.sh does";
  if (runs.size() < kFewestLossRuns)
    user_error("fit --loss: {} run{}, fewer than the {} that E, A, a, B, b and the scatter about them need: {}",
               runs.size(), runs.size() == 1 ? "" : "s", kFewestLossRuns, kHint);
  if (const auto sizes = sizes_of(runs); sizes.size() < kFewestSizes)
    user_error("fit --loss: all runs have {} size{} ({:g} parameters), fewer than the {} of a parabola: {}",
               sizes.size(), sizes.size() == 1 ? "" : "s", *sizes.begin(), kFewestSizes, kHint);
  const auto [least, most] = std::ranges::minmax_element(runs, {}, &LossRun::model_flops);
  if (most->model_flops <= least->model_flops * (1 + kSameBudget))
    user_error("fit --loss: all runs have one budget, {:.3g} model FLOP, and a law of compute needs two or more: {}",
               least->model_flops, kHint);
}

std::vector<SizedCost> costs_of(const std::vector<LossRun>& runs) {
  std::vector<SizedCost> costs;
  for (const auto& run : runs) costs.push_back({run.parameters, run.model_flops / run.tokens});
  return costs;
}

/// Over the budgets whose lowest point lies inside.
OptimalSplit split_of(const std::vector<IsoflopBudget>& budgets, const std::vector<Parabola>& lowest) {
  std::vector<double> flops, parameters, tokens;
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    if (!budgets[i].inside) continue;
    flops.push_back(budgets[i].model_flops);
    parameters.push_back(lowest[i].parameters);
    tokens.push_back(lowest[i].tokens);
  }
  const PowerLaw n = fit_power_law(flops, parameters), d = fit_power_law(flops, tokens);
  return {n.scale, n.exponent, d.scale, d.exponent};
}

/// What the draws of the bootstrap say, by quantity.
struct Drawn {
  std::vector<double> floor, n_scale, n_exponent, d_scale, d_exponent, law_n, law_d, parabola_n, parabola_d;
  struct AtLowest {
    std::vector<double> parameters, tokens, loss;
  };
  std::vector<AtLowest> budgets;
};

void add_law(const LossLaw& law, const FlopsLaw& flops, Drawn& drawn) {
  drawn.floor.push_back(law.floor);
  drawn.n_scale.push_back(law.n_scale);
  drawn.n_exponent.push_back(law.n_exponent);
  drawn.d_scale.push_back(law.d_scale);
  drawn.d_exponent.push_back(law.d_exponent);
  const OptimalSplit split = optimal_split(law, flops);
  drawn.law_n.push_back(split.n_exponent);
  drawn.law_d.push_back(split.d_exponent);
}

/// Parabolas through what was measured and scattered once more: they need not agree with the law.
void add_parabolas(const LossFit& fit, const std::vector<IsoflopBudget>& budgets, const LawDraw& draw, Drawn& drawn) {
  std::vector<double> log_losses;
  for (std::size_t i = 0; i < fit.data.runs.size(); ++i)
    log_losses.push_back(std::log(fit.data.runs[i].loss) + draw.scattered[i]);
  std::vector<Parabola> lowest;
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    lowest.push_back(parabola_of(budgets[i], fit.data.runs, log_losses));
    drawn.budgets[i].parameters.push_back(lowest.back().parameters);
    drawn.budgets[i].tokens.push_back(lowest.back().tokens);
    drawn.budgets[i].loss.push_back(lowest.back().loss);
  }
  const OptimalSplit split = split_of(budgets, lowest);
  drawn.parabola_n.push_back(split.n_exponent);
  drawn.parabola_d.push_back(split.d_exponent);
}

void set_estimates(const Drawn& drawn, const std::vector<IsoflopBudget>& budgets, LossFit& fit) {
  const LossLaw& law = fit.fitted.law;
  fit.law = {with_interval(law.floor, drawn.floor), with_interval(law.n_scale, drawn.n_scale),
             with_interval(law.n_exponent, drawn.n_exponent), with_interval(law.d_scale, drawn.d_scale),
             with_interval(law.d_exponent, drawn.d_exponent)};
  fit.by_law.split = optimal_split(law, fit.flops);
  fit.by_law.n_exponent = with_interval(fit.by_law.split.n_exponent, drawn.law_n);
  fit.by_law.d_exponent = with_interval(fit.by_law.split.d_exponent, drawn.law_d);
  std::vector<Parabola> lowest;
  for (std::size_t i = 0; i < budgets.size(); ++i) {
    const auto& at = drawn.budgets[i];
    lowest.push_back(budgets[i].lowest);
    fit.budgets.push_back({budgets[i], with_interval(lowest[i].parameters, at.parameters),
                           with_interval(lowest[i].tokens, at.tokens), with_interval(lowest[i].loss, at.loss)});
  }
  fit.by_parabolas.split = split_of(budgets, lowest);
  fit.by_parabolas.n_exponent = with_interval(fit.by_parabolas.split.n_exponent, drawn.parabola_n);
  fit.by_parabolas.d_exponent = with_interval(fit.by_parabolas.split.d_exponent, drawn.parabola_d);
}

/// Such a run moves the law little (Huber's loss), but widens every interval. Eight medians: few of the planted laws of
/// tests/scaling/loss/recovery_test.cpp have a run that far off by chance. Of few runs, which the law can pass through, the median
/// alone is too small a measure.
std::string note_of_far_off(const LossFit& fit) {
  std::vector<double> off;  // of log loss
  for (std::size_t i = 0; i < fit.fitted.sigmas.size(); ++i)
    off.push_back(std::abs(fit.fitted.sigmas[i] * fit.fitted.deviates[i]));
  const auto farthest = std::ranges::max_element(off);
  const double median = quantile(off, 0.5);
  if (*farthest < std::max({8 * median, 2 * fit.fitted.scatter(), 0.01})) return "";
  const auto at = static_cast<std::size_t>(farthest - off.begin());
  return fmt::format(
      "{} is off by {:+.1f} %, half of all runs by {:.1f} % or less: look at its losses; a run that came apart, as at too high a "
      "rate, widens every interval, and belongs repeated",
      fit.data.runs[at].name, 100 * std::expm1(std::copysign(*farthest, fit.fitted.deviates[at])), 100 * median);
}

void add_loss_notes(LossFit& fit) {
  fit.notes = fit.data.notes;
  if (auto note = note_of_far_off(fit); !note.empty()) fit.notes.push_back(std::move(note));
  for (const auto& b : fit.budgets)
    if (!b.budget.inside)
      fit.notes.push_back(
          fmt::format("the budget of {:.3g} FLOP has its lowest loss outside of the sizes that were run, {:.3g} "
                      ".. {:.3g} parameters: it does not count for the exponents; run other sizes",
                      b.budget.model_flops, fit.data.runs[b.budget.runs.front()].parameters,
                      fit.data.runs[b.budget.runs.back()].parameters));
  for (const auto& held_out : fit.held_out) {
    const auto fewer = std::ranges::count_if(
        held_out.runs, [&](const HeldOutRun& row) { return row.run.tokens < held_out.fewest_tokens; });
    if (fewer > 0)
      fit.notes.push_back(fmt::format(
          "{}: {} of {} runs that are held out have fewer tokens than any of the others, {:.3g}: their forecast goes "
          "beyond the data that was run too, not only beyond the sizes; larger budgets would not",
          held_out.what, fewer, held_out.runs.size(), held_out.fewest_tokens));
  }
  if (fit.data.kind == LossKind::training)
    fit.notes.push_back(
        fmt::format("losses are the means of the last {:.0f} % of steps of training, by the weights of that "
                    "moment; gpumonth evaluate compares checkpoints on the same samples and noise",
                    100 * kLastShare));
  fit.notes.push_back(
      "law and exponents belong to the data, the shape of the models and the learning rates of these runs: those of "
      "procedural shapes say nothing about natural images or video");
}

}  // namespace

LossFit fit_loss(const LossRuns& data, const LossFitOptions& options) {
  check_enough(data.runs);
  const auto budgets = isoflop_budgets(data.runs);
  if (budgets.empty())
    user_error(
        "fit --loss: no {} sizes share a budget of compute within {:.0f} %: train each size with the same model FLOP, as "
        "jobs/isoflop.sh does",
        kFewestSizes, 100 * kSameBudget);
  LossFit fit;
  fit.data = data;
  fit.fitted = fit_scattered_law(data.runs);
  fit.flops = fit_flops_law(costs_of(data.runs));
  Drawn drawn;
  drawn.budgets.resize(budgets.size());
  std::mt19937_64 random(kSeed);
  for (int i = 0; i < options.draws; ++i) {
    const LawDraw draw = draw_law(fit.fitted, data.runs, random);
    add_law(draw.law, fit.flops, drawn);
    add_parabolas(fit, budgets, draw, drawn);
  }
  set_estimates(drawn, budgets, fit);
  for (const auto& which : options.hold_out) fit.held_out.push_back(hold_out(data.runs, which, options.draws));
  add_loss_notes(fit);
  return fit;
}

}  // namespace gpumonth::scaling
