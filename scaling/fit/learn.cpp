#include "scaling/fit/learn.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <thread>

#include "base/config.h"
#include "base/error.h"
#include "scaling/fit/cuts.h"
#include "scaling/fit/family.h"
#include "scaling/fit/fit.h"
#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

constexpr double kEvidence = 12;  // about the number of independent families
constexpr int kSweeps = 2;
constexpr double kLeastDensity = -20.7;  // log(1e-9): one impossible forecast must not decide

/// Where the search starts, and the round values that it tries.
struct Values {
  double Constants::*member;
  double start;
  std::vector<double> tried;
};
const std::vector<Values>& search() {
  using C = Constants;
  static const std::vector<Values> all = {{&C::noise, .01, {.001, .002, .004, .008}},
                                          {&C::walk, .01, {.007, .01, .014, .02, .03}},
                                          {&C::batch_walk, .02, {0, .015, .03, .045, .06}},
                                          {&C::host_walk, .04, {0, .04, .08}},
                                          {&C::outlier_probability, .05, {.01, .02, .05, .1}},
                                          {&C::outlier_sd, .08, {.05, .1, .2, .3}},
                                          {&C::break_probability, .04, {.01, .02, .04, .08}},
                                          {&C::break_sd, .15, {.1, .2, .3, .4}},
                                          {&C::break_mean, .05, {0, .1, .2, .3}},
                                          {&C::slope_median, .015, {.005, .0075, .01, .015, .02}},
                                          {&C::slope_log_sd, 1, {.7, 1, 1.4, 2}},
                                          {&C::no_slope, .15, {.05, .15, .3}},
                                          {&C::share_median, .25, {.03, .06, .1, .15, .25}},
                                          {&C::share_logit_sd, 1.5, {.7, 1, 1.5, 2}},
                                          {&C::no_share, .2, {.1, .2, .3, .45}},
                                          {&C::saturating, 1, {.25, .5, 1, 2}},
                                          {&C::log_ranks, 1.4, {.25, .5, 1, 2}},
                                          {&C::sqrt_ranks, 1, {.25, .5, 1, 2}},
                                          {&C::linear, .6, {.25, .5, 1, 2}}};
  return all;
}

struct Case {
  Cut cut;
  double weight = 0, left_out_weight = 0;  // of each of its forecasts
};

std::vector<Case> cases_of(const std::vector<ScalingCurve>& curves, const std::string& leave_out) {
  std::vector<Case> all;
  double sum = 0, left_out_sum = 0;
  std::vector<std::string> families;
  for (ScalingCurve curve : curves) {
    if (!is_throughput(curve.unit) || curve.points.empty()) continue;
    check(curve);
    sort(curve);
    const auto of_curve = cuts(curve);
    double forecasts = 0;
    for (const Cut& cut : of_curve) forecasts += static_cast<double>(cut.later.size());
    const bool is_left_out = family(curve.name) == leave_out;
    families.push_back(family(curve.name));
    for (const Cut& cut : of_curve) {
      const double weight = 1 / std::sqrt(forecasts);
      all.push_back({cut, is_left_out ? 0 : weight, is_left_out ? weight : 0});
      (is_left_out ? left_out_sum : sum) += weight * static_cast<double>(cut.later.size());
    }
  }
  if (!leave_out.empty() && !(left_out_sum > 0)) {
    const std::string near = config::nearest(leave_out, families);
    user_error("--leave-out {}: no curve of at least {} rank counts is of that family{}", leave_out, kMinTrain + 1,
               near.empty() ? "" : " (did you mean '" + near + "'?)");
  }
  if (!(sum > 0))
    user_error("nothing to learn from: no curve of throughput has at least {} rank counts", kMinTrain + 1);
  for (Case& c : all) {
    c.weight /= sum;
    if (left_out_sum > 0) c.left_out_weight /= left_out_sum;
  }
  return all;
}

/// Mean log forecast density of the curves that take part, and of those left out.
std::array<double, 2> densities(const std::vector<Case>& cases, const Constants& constants) {
  std::vector<double> sums(cases.size(), 0);
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < cases.size(); i = next++) {
      const Fit fit = fit_curve(cases[i].cut.train, {.constants = constants, .components = nullptr});
      for (const auto& g : cases[i].cut.later)
        sums[i] += std::max(kLeastDensity, fit.log_density(g.ranks, g.batch_per_rank, g.samples_per_s));
    }
  };
  std::vector<std::thread> threads;
  for (unsigned t = 1; t < std::max(1u, std::thread::hardware_concurrency()); ++t) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  std::array<double, 2> result{};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    result[0] += cases[i].weight * sums[i];
    result[1] += cases[i].left_out_weight * sums[i];
  }
  return result;
}

double rounded(double value) { return std::stod(fmt::format("{:.2g}", value)); }

struct Visited {
  Constants constants;
  double density;
};

/// Geometric means; arithmetic of those that may be 0.
Constants weighted_mean(const std::vector<Visited>& visited) {
  double best = -INFINITY, sum = 0;
  for (const auto& v : visited) best = std::max(best, v.density);
  std::vector<double> weights;
  for (const auto& v : visited) sum += weights.emplace_back(std::exp(kEvidence * (v.density - best)));
  Constants mean;
  for (const Values& values : search()) {
    const bool may_be_0 = *std::min_element(values.tried.begin(), values.tried.end()) == 0;
    double x = 0;
    for (std::size_t i = 0; i < visited.size(); ++i) {
      const double value = visited[i].constants.*values.member;
      x += weights[i] / sum * (may_be_0 ? value : std::log(value));
    }
    mean.*values.member = rounded(may_be_0 ? x : std::exp(x));
  }
  return mean;
}

}  // namespace

Learned learn(const std::vector<ScalingCurve>& curves, const std::string& leave_out) {
  const std::vector<Case> cases = cases_of(curves, leave_out);
  Learned learned;
  learned.left_out = leave_out;
  for (const Case& c : cases)
    if (c.weight > 0) learned.forecasts += c.cut.later.size();
  Constants now;
  for (const Values& values : search()) now.*values.member = values.start;
  double best = learned.start_density = densities(cases, now)[0];
  std::vector<Visited> visited{{now, best}};
  for (int sweep = 0, moved = 1; sweep < kSweeps && moved; ++sweep) {
    moved = 0;
    for (const Values& values : search()) {
      Constants chosen = now;
      for (const double value : values.tried) {
        if (value == now.*values.member) continue;
        Constants candidate = now;
        candidate.*values.member = value;
        const double density = densities(cases, candidate)[0];
        visited.push_back({candidate, density});
        if (density > best + 1e-5) best = density, chosen = candidate, moved = 1;
      }
      now = chosen;
    }
  }
  learned.peak = now;
  learned.peak_density = best;
  learned.mean = weighted_mean(visited);
  const bool judged = !leave_out.empty();
  learned.left_out_density = judged ? densities(cases, learned.mean)[1] : std::nan("");
  learned.left_out_own_density = judged ? densities(cases, {})[1] : std::nan("");
  return learned;
}

std::string to_text(const std::vector<Learned>& all) {
  std::string text = fmt::format("{:<22}{:>10}", "constant", "in use");
  for (const auto& l : all)
    text += fmt::format("{:>14}", l.left_out.empty() ? "learned" : "no " + l.left_out.substr(0, 10));
  text += "\n";
  const Constants own;
  for (const auto& [name, member] : kConstants) {
    if (std::none_of(search().begin(), search().end(), [m = member](const Values& v) { return v.member == m; }))
      continue;
    text += fmt::format("{:<22}{:>10.3g}", name, own.*member);
    for (const auto& l : all) text += fmt::format("{:>14.2g}", l.mean.*member);
    text += "\n";
  }
  text += "\n";
  for (const auto& l : all) {
    text += fmt::format("{}: {} forecasts, mean log density {:.3f} at first, {:.3f} at the peak",
                        l.left_out.empty() ? "All curves" : "Without " + l.left_out, l.forecasts, l.start_density,
                        l.peak_density);
    if (!l.left_out.empty())
      text += fmt::format("; of those left out {:.3f} as learned, {:.3f} with the constants in use", l.left_out_density,
                          l.left_out_own_density);
    text += "\n";
  }
  return text;
}

Json to_json(const std::vector<Learned>& all) {
  Json json = Json::array();
  for (const auto& l : all) {
    Json entry{{"left_out", l.left_out},
               {"forecasts", l.forecasts},
               {"start_density", l.start_density},
               {"peak_density", l.peak_density}};
    if (!l.left_out.empty())
      entry["left_out_density"] = l.left_out_density, entry["left_out_own_density"] = l.left_out_own_density;
    for (const auto& [name, member] : kConstants)
      entry["mean"][name] = l.mean.*member, entry["peak"][name] = l.peak.*member;
    json.push_back(entry);
  }
  return json;
}

}  // namespace gpumonth::scaling
