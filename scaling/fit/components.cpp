#include "scaling/fit/components.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/normal.h"
#include "base/quantile.h"
#include "base/random.h"
#include "base/sampling_distributions.h"
#include "scaling/fit/component_data.h"
#include "scaling/fit/nnls.h"

namespace gpumonth::scaling {
namespace {

double median(const std::vector<double>& values) { return values.empty() ? 0 : quantile(values, 0.5); }

template <class Value>
bool varies(const std::vector<ComponentData>& all, const Value& value) {
  return std::any_of(all.begin(), all.end(), [&](const auto& d) { return value(d) != value(all.front()); });
}

double ranks_per_host(const ComponentData& d) { return static_cast<double>(d.ranks) / d.hosts; }

/// Relative least squares of compute over batch and ranks on a host.
void estimate_compute(const std::vector<ComponentData>& all, ComponentEstimate& e) {
  const bool batch = varies(all, [](const auto& d) { return d.batch_per_rank; });
  const bool share = varies(all, ranks_per_host);
  std::vector<std::vector<double>> columns(3, std::vector<double>(all.size()));
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& d = all[i];
    const double measured = d.compute_s;
    columns[0][i] = d.batch_per_rank / measured;
    if (batch) columns[1][i] = 1 / measured;
    if (share) columns[2][i] = d.batch_per_rank * std::log2(ranks_per_host(d)) / measured;
  }
  const std::vector<double> x = non_negative_least_squares(columns, std::vector<double>(all.size(), 1.0));
  e.c1_s = x[0];
  e.c0_s = x[1];
  e.c2_s = x[2];
}

struct RingTerms {
  double latency = 0, bytes = 0;  // what alpha and s/byte are multiplied by
};

RingTerms ring(double members, double bytes) {
  return members > 1 ? RingTerms{2 * (members - 1), 2 * (members - 1) / members * bytes} : RingTerms{};
}

void estimate_all_reduce(const std::vector<ComponentData>& all, ComponentEstimate& e) {
  std::vector<std::vector<double>> columns(4);
  for (const auto& d : all) {
    if (d.ranks < 2) continue;
    for (const auto& b : d.buckets) {
      const double measured = b.duration_s;
      if (!(measured > 0)) continue;
      const RingTerms in = ring(ranks_per_host(d), b.bytes), across = ring(d.hosts, b.bytes);
      std::size_t j = 0;
      for (const double term : {in.latency, in.bytes, across.latency, across.bytes})
        columns[j++].push_back(term / measured);
    }
  }
  if (columns[0].empty()) return;
  const std::vector<double> x = non_negative_least_squares(columns, std::vector<double>(columns[0].size(), 1.0));
  e.alpha_s = x[0];
  e.s_per_byte = x[1];
  e.host_alpha_s = x[2];
  e.host_s_per_byte = x[3];
}

runlog::BusySpread busy_spread(const std::vector<ComponentData>& all) {
  runlog::BusySpread spread;
  for (const auto& d : all) spread.add(d.busy);
  return spread;
}

void estimate_stragglers(const std::vector<ComponentData>& all, ComponentEstimate& e) {
  const runlog::BusySpread s = busy_spread(all);
  if (!s.known()) return;
  e.per_step = std::sqrt(s.per_step_variance());
  e.persistent = std::sqrt(s.persistent_variance());
}

double draw_chi_squared(double freedom, std::mt19937_64& random) {
  return chi_squared_quantile(freedom, unit_interval(random()));
}

/// One draw of the spread between ranks given the squares (generalised confidence interval of a variance
/// component, Weerahandi 1993): a bootstrap of a few ranks draws some of them twice.
double draw_persistent(const runlog::BusySpread& s, std::mt19937_64& random) {
  const double between = s.between / draw_chi_squared(s.between_freedom, random);
  const double within = s.within / draw_chi_squared(s.within_freedom, random);
  return std::sqrt(s.persistent_variance(between, within));
}

ComponentEstimate estimate(const std::vector<ComponentData>& all) {
  ComponentEstimate e;
  estimate_compute(all, e);
  estimate_all_reduce(all, e);
  estimate_stragglers(all, e);
  std::vector<double> data, optimizer, other;
  const ComponentData* timeline = nullptr;  // of the most ranks
  for (const auto& d : all) {
    data.push_back(d.data_s);
    optimizer.push_back(d.optimizer_s);
    other.push_back(d.other_s);
    if (!d.buckets.empty() && (!timeline || d.ranks > timeline->ranks)) timeline = &d;
  }
  e.data_s = median(data);
  e.optimizer_s = median(optimizer);
  e.other_s = median(other);
  if (timeline) {
    const double busy = timeline->data_s + timeline->compute_s;
    for (const auto& b : timeline->buckets) e.buckets.push_back({b.bytes, std::min(1.0, b.ready_s / busy)});
  }
  return e;
}

double compute_s(const Components& c, const ComponentEstimate& e, double ranks, double batch) {
  return e.c0_s + e.c1_s * batch + e.c2_s * batch * std::log2(std::min<double>(ranks, c.ranks_per_host));
}

double exposed_s(const Components& c, const ComponentEstimate& e, double ranks, double busy_s) {
  const double inside = c.several_hosts ? std::min<double>(ranks, c.ranks_per_host) : ranks;
  const double hosts = ranks / inside;
  double end = 0;
  for (const auto& b : e.buckets) {
    const RingTerms in = ring(inside, b.bytes), across = ring(hosts, b.bytes);
    end = std::max(end, b.ready * busy_s) + e.alpha_s * in.latency + e.s_per_byte * in.bytes +
          e.host_alpha_s * across.latency + e.host_s_per_byte * across.bytes;
  }
  return ranks > 1 ? std::max(0.0, end - busy_s) : 0;
}

void add_parameter(Components& c, const std::string& name, const std::string& unit, double ComponentEstimate::*member,
                   bool inverse = false) {
  const auto value = [&](const ComponentEstimate& e) { return inverse ? 1 / (e.*member) : e.*member; };
  if (!(c.best.*member > 0) || !std::isfinite(value(c.best))) return;
  std::vector<double> drawn;
  for (const auto& r : c.replicates)
    if (std::isfinite(value(r))) drawn.push_back(value(r));
  Component& p = c.parameters.emplace_back();
  p.name = name;
  p.unit = unit;
  p.value = p.low = p.high = value(c.best);
  if (drawn.size() > 1) {
    p.low = std::min(p.value, quantile(drawn, 0.05));
    p.high = std::max(p.value, quantile(drawn, 0.95));
  }
}

void add_parameters(Components& c) {
  using E = ComponentEstimate;
  add_parameter(c, "compute_per_step", "s", &E::c0_s);
  add_parameter(c, "compute_per_sample", "s", &E::c1_s);
  add_parameter(c, "compute_per_sample_and_doubling_on_a_host", "s", &E::c2_s);
  add_parameter(c, "all_reduce_alpha", "s", &E::alpha_s);
  add_parameter(c, "all_reduce_bandwidth", "B/s", &E::s_per_byte, true);
  add_parameter(c, "host_all_reduce_alpha", "s", &E::host_alpha_s);
  add_parameter(c, "host_all_reduce_bandwidth", "B/s", &E::host_s_per_byte, true);
  add_parameter(c, "straggler_persistent", "1", &E::persistent);
  add_parameter(c, "straggler_per_step", "1", &E::per_step);
  add_parameter(c, "data", "s", &E::data_s);
  add_parameter(c, "optimizer", "s", &E::optimizer_s);
  add_parameter(c, "other", "s", &E::other_s);
}

}  // namespace

double expected_maximum(double n) {
  if (n <= 1) return 0;
  return normal_quantile((n - 0.375) / (n + 0.25));
}

double step_s(const Components& c, const ComponentEstimate& e, double ranks, double batch) {
  const double compute = compute_s(c, e, ranks, batch);
  const double wait = std::hypot(e.persistent, e.per_step) * expected_maximum(ranks) * compute;
  return e.data_s + compute + e.optimizer_s + e.other_s + exposed_s(c, e, ranks, e.data_s + compute) + wait;
}

Components fit_components(const std::vector<runlog::Run>& runs, int replicates) {
  std::vector<const runlog::Run*> all;
  for (const auto& run : runs) all.push_back(&run);
  return fit_components(all, replicates);
}

Components fit_components(const std::vector<const runlog::Run*>& runs, int replicates) {
  Components c;
  std::vector<ComponentSums> sums;
  std::vector<ComponentData> all;
  for (const auto* run : runs) {
    ComponentSums of_run(*run);
    if (of_run.steps() == 0 || !(of_run.means().compute_s > 0)) continue;
    all.push_back(of_run.means());
    sums.push_back(std::move(of_run));
  }
  const bool timeline =
      std::any_of(all.begin(), all.end(), [](const auto& d) { return d.ranks > 1 && !d.buckets.empty(); });
  if (!timeline) {
    c.why_unusable = "no log of several ranks has steady steps and bucket times";
    c.notes.push_back("no component model: " + c.why_unusable);
    return c;
  }
  for (const auto& d : all) {
    c.ranks_per_host = std::max(c.ranks_per_host, static_cast<int>(std::ceil(ranks_per_host(d))));
    c.several_hosts = c.several_hosts || d.hosts > 1;
  }
  if (!c.several_hosts)
    c.notes.push_back("all runs were on one host: the component model takes its link for that between hosts too");
  c.best = estimate(all);
  std::mt19937_64 random(20240302);
  const runlog::BusySpread squares = busy_spread(all);
  for (int i = 0; i < replicates; ++i) {
    std::vector<ComponentData> drawn;
    for (const auto& of_run : sums) drawn.push_back(of_run.resample(random));
    c.replicates.push_back(estimate(drawn));
    if (!squares.known()) continue;
    c.replicates.back().per_step *= std::sqrt(squares.within_freedom / squares.drawn_freedom);
    c.replicates.back().persistent = draw_persistent(squares, random);
  }
  add_parameters(c);
  for (const auto& d : all)
    c.runs.push_back({d.path, d.ranks, d.batch_per_rank, d.step_s, d.data_s, d.compute_s, d.optimizer_s, d.exposed_s,
                      d.other_s, step_s(c, c.best, d.ranks, d.batch_per_rank)});
  return c;
}

std::shared_ptr<const StepModel> step_model(std::shared_ptr<const Components> components) {
  if (!components->why_unusable.empty()) return nullptr;
  // A fit asks for the same few places again and again.
  auto known = std::make_shared<std::map<std::pair<double, double>, StepForecast>>();
  return std::make_shared<const StepModel>([components, known](double ranks, double batch) {
    const auto [place, is_new] = known->try_emplace({ranks, batch});
    if (is_new) {
      StepForecast& f = place->second;
      f.step_s = step_s(*components, components->best, ranks, batch);
      double square = 0;
      for (const auto& r : components->replicates)
        square += std::pow(std::log(step_s(*components, r, ranks, batch) / f.step_s), 2);
      const auto count = static_cast<double>(components->replicates.size());
      if (count > 0) f.relative_sd = std::sqrt(square / count);
    }
    return place->second;
  });
}

}  // namespace gpumonth::scaling
