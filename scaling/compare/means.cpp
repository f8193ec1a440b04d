#include "scaling/compare/means.h"

#include <fmt/format.h>

#include <cmath>

namespace gpumonth::scaling {
namespace {

/// 1 / runs of each cell of one set, 0 for the other's.
Eigen::VectorXd weights(const Means& means, bool of_a, bool of_b) {
  const auto n = means.size();
  Eigen::VectorXd w = Eigen::VectorXd::Zero(2 * n);
  for (Eigen::Index i = 0; i < 2 * n; ++i)
    if (i < n ? of_a : of_b) w[i] = 1 / static_cast<double>(means.cell(i).runs.size());
  return w;
}

/// The variance of the mean of each cell that its runs' own steps explain.
Eigen::VectorXd within_weights(const Means& means) {
  Eigen::VectorXd w = Eigen::VectorXd::Zero(2 * means.size());
  for (Eigen::Index i = 0; i < w.size(); ++i) {
    const auto& runs = means.cell(i).runs;
    for (const auto* run : runs)
      if (!std::isnan(run->within)) w[i] += run->within * run->within / std::pow(static_cast<double>(runs.size()), 2);
  }
  return w;
}

/// Of the set whose cells start at `first`: pooled, or each point's own where points scatter unevenly.
void add_noise(Means& means, Eigen::Index first, double uneven_p) {
  bool repeated = true;
  for (Eigen::Index i = first; i < first + means.size(); ++i) repeated &= means.cell(i).runs.size() > 1;
  if (uneven_p >= kUnevenP || !repeated) {
    means.noise.push_back(means.pooled[first == 0 ? 0 : 1]);
    return;
  }
  for (Eigen::Index i = first; i < first + means.size(); ++i) {
    const Cell& cell = means.cell(i);
    const double runs = static_cast<double>(cell.runs.size());
    Eigen::VectorXd weight = Eigen::VectorXd::Zero(2 * means.size());
    weight[i] = 1 / runs;
    means.noise.push_back({weight, variance_of(cell), runs - 1});
  }
}

}  // namespace

void set_noise(Means& means, Comparison& c) {
  c.noise_a.measured = noise_of(means.a);
  c.noise_b.measured = noise_of(means.b);
  const RunNoise &a = c.noise_a.measured, &b = c.noise_b.measured;
  if (a.freedom > 0 && b.freedom > 0) {
    means.pooled = {{weights(means, true, false), a.run_to_run * a.run_to_run, a.freedom},
                    {weights(means, false, true), b.run_to_run * b.run_to_run, b.freedom}};
    add_noise(means, 0, a.uneven_p);
    add_noise(means, means.size(), b.uneven_p);
    c.noise_a = {a, NoiseSource::measured, a.run_to_run, a.freedom};
    c.noise_b = {b, NoiseSource::measured, b.run_to_run, b.freedom};
  } else if (a.freedom > 0 || b.freedom > 0) {
    const RunNoise& known = a.freedom > 0 ? a : b;
    means.pooled = means.noise = {{weights(means, true, true), known.run_to_run * known.run_to_run, known.freedom}};
    c.noise_a = {a, a.freedom > 0 ? NoiseSource::measured : NoiseSource::other_set, known.run_to_run, known.freedom};
    c.noise_b = {b, b.freedom > 0 ? NoiseSource::measured : NoiseSource::other_set, known.run_to_run, known.freedom};
  } else {
    // No run is repeated: between runs by assumption, within them as measured.
    constexpr double kVariance = AssumedNoise::kBetween * AssumedNoise::kBetween;
    means.pooled =
        means.noise = {{weights(means, true, true), kVariance, AssumedNoise::kFreedom}, {within_weights(means), 1}};
    const auto total = [](const RunNoise& n) {
      return std::hypot(AssumedNoise::kBetween, std::isnan(n.within) ? 0 : n.within);
    };
    c.noise_a = {a, NoiseSource::assumed, total(a), AssumedNoise::kFreedom};
    c.noise_b = {b, NoiseSource::assumed, total(b), AssumedNoise::kFreedom};
  }
}

void note_noise(Comparison& c) {
  const auto about = [&](const char* name, const CompareNoise& n) {
    if (n.source == NoiseSource::measured && n.freedom < 3)
      c.notes.push_back(fmt::format(
          "{}: few repeats ({:g} degrees of freedom): intervals are wide until there are more", name, n.freedom));
    if (n.source == NoiseSource::measured && n.measured.uneven_p < kUnevenP)
      c.notes.push_back(
          fmt::format("{}: points may scatter unevenly (Bartlett, p = {:.2g}): intervals take each point's own spread",
                      name, n.measured.uneven_p));
    if (n.source == NoiseSource::measured && n.run_to_run <= 1e-6)
      c.notes.push_back(fmt::format("{}: repeats agree in all digits: are they copies?", name));
  };
  about("A", c.noise_a);
  about("B", c.noise_b);
  if (c.noise_a.source == NoiseSource::other_set)
    c.notes.push_back("A repeats no run: it is assumed to scatter as B does");
  if (c.noise_b.source == NoiseSource::other_set)
    c.notes.push_back("B repeats no run: it is assumed to scatter as A does");
  if (c.noise_a.source == NoiseSource::assumed)
    c.notes.push_back(fmt::format("no run is repeated: runs are assumed to differ by {:g} % ({})",
                                  100 * AssumedNoise::kBetween, AssumedNoise::kSource));
}

}  // namespace gpumonth::scaling
