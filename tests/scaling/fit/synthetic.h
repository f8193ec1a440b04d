// Scaling curves and run logs with a known truth.
#pragma once

#include <cmath>
#include <functional>

#include "base/random.h"
#include "runlog/record.h"
#include "scaling/curve.h"

namespace gpumonth::tests {

/// Throughput of `truth(ranks, batch)` rank-seconds per sample, times log-normal noise, at these ranks.
inline scaling::ScalingCurve synthetic_curve(const std::function<double(double)>& cost, double noise,
                                             const std::vector<int>& ranks, int repeats, NormalDraws& normal) {
  scaling::ScalingCurve curve;
  curve.name = "synthetic";
  for (const int n : ranks)
    for (int r = 0; r < repeats; ++r) curve.points.push_back({n, 8.0, n / cost(n) * std::exp(noise * normal()), ""});
  return curve;
}

/// What the logs below are made of.
struct ComponentTruth {
  double c0_s = 0.004, c1_s = 0.01, alpha_s = 60e-6, bytes_per_s = 4e9, per_step = 0.02, persistent = 0;
  double data_s = 0.0005, optimizer_s = 0.002, other_s = 0.001;
};

/// A log of `steps` steady steps with 3 % noise on each time; buckets and busy times on every fourth step.
inline runlog::Run component_log(const ComponentTruth& t, int ranks, int batch, int steps, NormalDraws& normal) {
  constexpr double kMiB = 1 << 20;
  constexpr double kBytes[] = {0.1 * kMiB, 16 * kMiB, 4 * kMiB, 1 * kMiB};
  constexpr double kReady[] = {0.5, 0.7, 0.85, 1.0};
  const auto noisy = [&](double x) { return x * (1 + 0.03 * normal()); };
  runlog::Run run;
  run.path = "run-" + std::to_string(ranks) + "-" + std::to_string(batch) + ".h5";
  run.info.world_size = ranks;
  run.info.model_name = "dit-s-2";
  run.info.hostnames.assign(static_cast<std::size_t>(ranks), "node0");
  const double compute = t.c0_s + t.c1_s * batch;
  std::vector<double> slower;
  for (int r = 0; r < ranks; ++r) slower.push_back(t.persistent > 0 ? t.persistent * normal() : 0);
  for (int i = 1; i <= steps; ++i) {
    runlog::StepRecord s;
    s.step = i;
    s.phase = runlog::Phase::steady;
    s.samples = ranks * batch;
    s.tokens = 256 * s.samples;
    s.model_flops = s.hardware_flops = 1e9 * ranks * batch;
    s.data_s = noisy(t.data_s);
    const double both = noisy(compute);
    s.forward_s = both / 3;
    s.backward_s = both - s.forward_s;
    s.optimizer_s = noisy(t.optimizer_s);
    double end = 0;
    for (int b = 0; b < 4 && ranks > 1; ++b) {
      const double seconds = 2 * (ranks - 1) * t.alpha_s + 2.0 * (ranks - 1) / ranks * kBytes[b] / t.bytes_per_s;
      const double ready = kReady[b] * (s.data_s + both), start = std::max(ready, end);
      end = start + noisy(seconds);
      if (i % 4 == 0) run.buckets.push_back({i, b, static_cast<std::int64_t>(kBytes[b]), ready, start, end});
    }
    s.exposed_comm_s = std::max(0.0, end - s.data_s - both);
    s.step_time_s = s.data_s + both + s.exposed_comm_s + s.optimizer_s + noisy(t.other_s);
    if (ranks > 1 && i % 4 == 0) {
      run.rank_steps.push_back(i);
      const double common = 1 + 0.03 * normal();
      for (const double rank : slower)
        run.rank_step_time_s.push_back(static_cast<float>(compute * (common + rank + t.per_step * normal())));
    }
    run.steps.push_back(s);
  }
  return run;
}

}  // namespace gpumonth::tests
