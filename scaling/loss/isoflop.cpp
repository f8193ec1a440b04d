#include "scaling/loss/isoflop.h"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace gpumonth::scaling {
namespace {

double log_size(const LossRun& run) { return std::log(run.parameters); }

void finish_budget(IsoflopBudget& budget, std::span<const LossRun> runs) {
  std::set<double> sizes;
  for (const std::size_t i : budget.runs) {
    sizes.insert(runs[i].parameters);
    budget.model_flops += runs[i].model_flops / static_cast<double>(budget.runs.size());
  }
  budget.sizes = sizes.size();
  std::ranges::sort(budget.runs, {}, [&](std::size_t i) { return runs[i].parameters; });
  std::vector<double> log_losses;
  for (const auto& run : runs) log_losses.push_back(std::log(run.loss));
  if (budget.sizes < kFewestSizes) return;
  budget.lowest = parabola_of(budget, runs, log_losses);
  budget.inside = budget.lowest.bends_up && budget.lowest.parameters > runs[budget.runs.front()].parameters &&
                  budget.lowest.parameters < runs[budget.runs.back()].parameters;
}

}  // namespace

std::vector<IsoflopBudget> isoflop_budgets(std::span<const LossRun> runs) {
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return runs[i].model_flops; });
  std::vector<IsoflopBudget> budgets;
  double least = 0;
  for (const std::size_t i : order) {
    if (budgets.empty() || runs[i].model_flops > least * (1 + kSameBudget)) {
      budgets.emplace_back();
      least = runs[i].model_flops;
    }
    budgets.back().runs.push_back(i);
  }
  for (auto& budget : budgets) finish_budget(budget, runs);
  std::erase_if(budgets, [](const IsoflopBudget& b) { return b.sizes < kFewestSizes; });
  return budgets;
}

Parabola parabola_of(const IsoflopBudget& budget, std::span<const LossRun> runs, std::span<const double> log_losses) {
  double centre = 0;
  for (const std::size_t i : budget.runs) centre += log_size(runs[i]) / static_cast<double>(budget.runs.size());
  Eigen::MatrixXd powers(std::ssize(budget.runs), 3), values(std::ssize(budget.runs), 2);
  for (Eigen::Index row = 0; row < powers.rows(); ++row) {
    const std::size_t i = budget.runs[static_cast<std::size_t>(row)];
    const double x = log_size(runs[i]) - centre;
    powers.row(row) << 1, x, x * x;
    values.row(row) << log_losses[i], std::log(runs[i].tokens);
  }
  const Eigen::MatrixXd c = powers.colPivHouseholderQr().solve(values);
  Parabola parabola;
  parabola.bends_up = c(2, 0) > 0;
  if (!parabola.bends_up) return parabola;
  const double x = -c(1, 0) / (2 * c(2, 0));
  const auto at = [&](int column) { return std::exp(c(0, column) + x * (c(1, column) + x * c(2, column))); };
  parabola.parameters = std::exp(centre + x);
  parabola.loss = at(0);
  parabola.tokens = at(1);
  return parabola;
}

PowerLaw fit_power_law(std::span<const double> x, std::span<const double> y) {
  const auto n = static_cast<double>(x.size());
  double mean_x = 0, mean_y = 0, xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    mean_x += std::log(x[i]) / n;
    mean_y += std::log(y[i]) / n;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (std::log(x[i]) - mean_x) * (std::log(x[i]) - mean_x);
    xy += (std::log(x[i]) - mean_x) * (std::log(y[i]) - mean_y);
  }
  if (x.size() < 2 || !(xx > 0)) return {};
  return {std::exp(mean_y - xy / xx * mean_x), xy / xx};
}

}  // namespace gpumonth::scaling
