#include "scaling/compare/compare.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "scaling/compare/means.h"

namespace gpumonth::scaling {
namespace {

void check_comparable(const RunSet& a, const RunSet& b, std::vector<std::string>& notes) {
  if (a.unit != b.unit) user_error("{} is in {} and {} in {}: give both in one unit", a.name, a.unit, b.name, b.unit);
  if (!a.facts || !b.facts) return;
  const RunFacts &x = *a.facts, &y = *b.facts;
  if (const auto differs = model_difference(x, y))
    user_error("{} and {} cannot be compared: {}; give runs of one model", a.name, b.name, to_text(*differs));
  const auto may_differ = [&](const char* what, const auto& p, const auto& q) {
    if (p != q) notes.push_back(fmt::format("{} differs: A {}, B {}", what, p, q));
  };
  may_differ("the device", x.device_name, y.device_name);
  may_differ("the compute type", x.dtype, y.dtype);
  may_differ("the backend", x.backend, y.backend);
  may_differ("the transport", x.transport, y.transport);
  may_differ("the number of threads per rank", x.threads_per_rank, y.threads_per_rank);
}

void note_shared_runs(const RunSet& a, const RunSet& b, std::vector<std::string>& notes) {
  if (!a.facts || !b.facts) return;
  std::set<std::string> known;
  for (const auto& run : a.runs) known.insert(run.identity);
  const auto shared =
      std::count_if(b.runs.begin(), b.runs.end(), [&](const auto& run) { return known.contains(run.identity); });
  if (shared > 0)
    notes.push_back(fmt::format("{} of the runs are in both sets: intervals and tests suppose that none is", shared));
}

CompareSide side_of(const Means& means, Eigen::Index i, Eigen::Index baseline) {
  const Cell& cell = means.cell(i);
  CompareSide side;
  side.samples_per_s_per_rank = std::exp(means.logs[i]);
  side.runs = cell.runs.size();
  if (i != baseline) {
    Eigen::VectorXd g = Eigen::VectorXd::Zero(means.logs.size());
    g[i] = 1;
    g[baseline] = -1;
    const auto error = contrast_error(g, means.noise);
    const double log_efficiency = means.logs[i] - means.logs[baseline],
                 reach = error.t(kConfidence) * error.standard_error;
    side.efficiency = std::exp(log_efficiency);
    side.low = std::exp(log_efficiency - reach);
    side.high = std::exp(log_efficiency + reach);
  }
  if (std::isnan(cell.batch_per_rank)) return side;
  side.step_time_s = cell.batch_per_rank / side.samples_per_s_per_rank;
  // Every run's shares as fractions of its step, so that the mean sums to the mean's step.
  StepShares shares{};
  for (const auto* run : cell.runs) {
    if (!run->shares) return side;
    const double step_s = run->batch_per_rank * static_cast<double>(run->ranks) / run->samples_per_s;
    const double scale = side.step_time_s / step_s / static_cast<double>(cell.runs.size());
    for (std::size_t s = 0; s < kStepShares; ++s) shares[s] += scale * (*run->shares)[s];
  }
  side.shares = shares;
  return side;
}

/// 1/E - 1 = sum over shares of (their seconds per sample here - at the baseline) / (seconds per sample at
/// the baseline), and E_A - E_B = E_A E_B ((1/E_B - 1) - (1/E_A - 1)).
std::optional<StepShares> contributions(const CompareRow& row, const CompareRow& base) {
  if (!row.a.shares || !row.b.shares || !base.a.shares || !base.b.shares) return std::nullopt;
  StepShares result{};
  const auto loss = [&](const CompareSide& here, const CompareSide& there, std::size_t s) {
    const double per_sample_s = there.step_time_s / base.batch_per_rank;
    return ((*here.shares)[s] / row.batch_per_rank - (*there.shares)[s] / base.batch_per_rank) / per_sample_s;
  };
  for (std::size_t s = 0; s < kStepShares; ++s)
    result[s] = row.a.efficiency * row.b.efficiency * (loss(row.b, base.b, s) - loss(row.a, base.a, s));
  return result;
}

/// The standard error of log efficiency of one set; `i` and `base` are its cells.
double efficiency_error(const Means& means, Eigen::Index i, Eigen::Index base) {
  Eigen::VectorXd g = Eigen::VectorXd::Zero(means.logs.size());
  g[i] = 1;
  g[base] = -1;
  return contrast_error(g, means.noise).standard_error;
}

/// The interval of E_A - E_B out of those of E_A and E_B, which are not symmetric (MOVER; Zou and Donner,
/// Statistics in Medicine 27, 2008), with the quantile of Welch's t for their difference.
void set_difference(CompareRow& row, const Means& means, Eigen::Index i) {
  const auto n = means.size();
  const auto base = means.baseline(i);
  const double ea = row.a.efficiency, eb = row.b.efficiency;
  Eigen::VectorXd g = Eigen::VectorXd::Zero(2 * n);
  g[i] = ea;
  g[base] = -ea;
  g[n + i] = -eb;
  g[n + base] = eb;
  const auto error = contrast_error(g, means.noise);
  const double t = error.t(kConfidence);
  const double a = t * efficiency_error(means, i, base), b = t * efficiency_error(means, n + i, n + base);
  row.difference = ea - eb;
  row.low = row.difference - std::hypot(ea - ea * std::exp(-a), eb * std::exp(b) - eb);
  row.high = row.difference + std::hypot(ea * std::exp(a) - ea, eb - eb * std::exp(-b));
  row.smallest_difference =
      std::sqrt(noncentrality_for(kWantedPower, 1, error.freedom, kTestLevel)) * error.standard_error;
  g[i] = g[n + base] = 1;
  g[base] = g[n + i] = -1;
  row.p_value = contrast_error(g, means.noise).p_value(g.dot(means.logs));
}

void set_throughput_ratio(CompareRow& row, const Means& means, Eigen::Index i) {
  Eigen::VectorXd g = Eigen::VectorXd::Zero(means.logs.size());
  g[i] = 1;
  g[means.size() + i] = -1;
  const auto error = contrast_error(g, means.noise);
  const double log_ratio = g.dot(means.logs), reach = error.t(kConfidence) * error.standard_error;
  row.throughput_ratio = std::exp(log_ratio);
  row.ratio_low = std::exp(log_ratio - reach);
  row.ratio_high = std::exp(log_ratio + reach);
}

/// Rows: log(A / B) of every matched cell; of its efficiency where `efficiency`, which baselines have not.
Eigen::MatrixXd contrasts(const Means& means, bool efficiency) {
  const auto n = means.size();
  std::vector<Eigen::Index> rows;
  for (Eigen::Index i = 0; i < n; ++i)
    if (!efficiency || means.baseline(i) != i) rows.push_back(i);
  Eigen::MatrixXd L = Eigen::MatrixXd::Zero(static_cast<Eigen::Index>(rows.size()), 2 * n);
  for (Eigen::Index r = 0; r < L.rows(); ++r) {
    const auto i = rows[static_cast<std::size_t>(r)];
    L(r, i) += 1;
    L(r, n + i) -= 1;
    if (!efficiency) continue;
    L(r, means.baseline(i)) -= 1;
    L(r, n + means.baseline(i)) += 1;
  }
  return L;
}

/// One contrast for the whole difference: sets that differ do so with one sign at nearly every rank count,
/// and the mean of the rows finds that with fewer repeats than F, which has to guard against every pattern.
CompareTest whole_test(const Means& means, const Eigen::MatrixXd& L) {
  CompareTest result;
  result.any_pattern = test_contrasts(L, means.logs, means.pooled);
  const Eigen::VectorXd mean = L.colwise().mean();
  const auto error = contrast_error(mean, means.noise);
  const double log_ratio = mean.dot(means.logs), reach = error.t(kConfidence) * error.standard_error;
  result.ratio = std::exp(log_ratio);
  result.low = std::exp(log_ratio - reach);
  result.high = std::exp(log_ratio + reach);
  result.p_value = error.p_value(log_ratio);
  result.freedom = error.freedom;
  const double needed = std::sqrt(noncentrality_for(kWantedPower, 1, error.freedom, kTestLevel));
  result.smallest_difference = 1 - std::exp(-needed * error.standard_error);
  const double planted = std::log(0.97) / error.standard_error;
  result.power_at_3_percent = power_of_f(planted * planted, 1, error.freedom, kTestLevel);
  return result;
}

/// Repeats a factor of e^2 apart are not repeats, and exponentials of their intervals would overflow.
void check_noise(const Comparison& c) {
  for (const auto* noise : {&c.noise_a, &c.noise_b})
    if (noise->run_to_run > 2)
      user_error(
          "{}: repeats of one point differ by a factor of {:.3g}: they are not of one kind, look at them one "
          "by one",
          (noise == &c.noise_a ? c.a : c.b).name, std::exp(noise->run_to_run));
}

void check_finite(const Comparison& c) {
  for (const auto& row : c.rows)
    for (const double value : {row.a.low, row.a.high, row.b.low, row.b.high, row.difference, row.low, row.high,
                               row.ratio_low, row.ratio_high, row.p_value})
      if (!std::isfinite(value))
        user_error("{} and {}: the throughputs at {} ranks and at {} are too far apart to compare", c.a.name, c.b.name,
                   row.ranks, row.baseline_ranks);
}

}  // namespace

Comparison compare(RunSet a, RunSet b) {
  Comparison c;
  c.a = std::move(a);
  c.b = std::move(b);
  for (const auto* set : {&c.a, &c.b})
    for (const auto& note : set->notes) c.notes.push_back(fmt::format("{}: {}", set == &c.a ? "A" : "B", note));
  check_comparable(c.a, c.b, c.notes);
  note_shared_runs(c.a, c.b, c.notes);
  Means means;
  const bool by_batch = use_batch(c.a, c.b);
  means.a = cells_of(c.a, by_batch);
  means.b = cells_of(c.b, by_batch);
  means.matched = match_cells(c.a, means.a, c.b, means.b, c.notes);
  const auto n = means.size();
  means.logs.resize(2 * n);
  for (Eigen::Index i = 0; i < 2 * n; ++i) means.logs[i] = means.cell(i).log_mean;
  set_noise(means, c);
  check_noise(c);
  note_noise(c);
  for (Eigen::Index i = 0; i < n; ++i) {
    const auto base = means.baseline(i);
    CompareRow& row = c.rows.emplace_back();
    row.ranks = means.cell(i).ranks;
    row.batch_per_rank = means.cell(i).batch_per_rank;
    row.baseline_ranks = means.cell(base).ranks;
    row.baseline_batch = means.cell(base).batch_per_rank;
    row.is_baseline = base == i;
    row.a = side_of(means, i, base);
    row.b = side_of(means, n + i, n + base);
    set_throughput_ratio(row, means, i);
    if (row.is_baseline) continue;
    set_difference(row, means, i);
    // Baselines stand before the rows that count from them.
    row.contributions = contributions(row, c.rows[static_cast<std::size_t>(base)]);
  }
  check_finite(c);
  c.efficiency = whole_test(means, contrasts(means, true));
  c.throughput = whole_test(means, contrasts(means, false));
  if (!c.rows.back().contributions)
    c.notes.push_back("where a difference comes from is known only where both sets are run logs");
  return c;
}

}  // namespace gpumonth::scaling
