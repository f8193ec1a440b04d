#include "scaling/noise_scale.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "base/block_length.h"
#include "base/quantile.h"

namespace gpumonth::scaling {
namespace {

constexpr std::size_t kFewestPairs = 20;
constexpr double kLargestSquare =
    1e200;  ///< of a norm: beyond it the run has diverged, and sums leave what a double holds
constexpr int kResamples = 2000;
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// Each step's own estimates, unbiased and noisy: appendix A.1 of the paper.
struct Series {
  std::vector<double> squared_gradient, trace, batch;

  void add(const runlog::StepRecord& step, double b) {
    const auto B = static_cast<double>(step.samples);
    const double small = step.small_grad_norm * step.small_grad_norm, whole = step.grad_norm * step.grad_norm;
    if (!(B > b) || !(small < kLargestSquare) || !(whole < kLargestSquare)) return;
    squared_gradient.push_back((B * whole - b * small) / (B - b));
    trace.push_back((small - whole) / (1 / b - 1 / B));
    batch.push_back(B);
  }
};

/// 90 % interval of sum(squared_gradient) / sum(trace): the trace is known well, the gradient may drown in noise. Nothing
/// where the trace is not told from 0. Seeded: the same log gives the same interval.
std::optional<Interval> gradient_over_trace(const Series& series, double ratio, double mean_trace) {
  BlockSums sums(2);
  std::vector<double> moves;  // of the ratio, around 1 (bootstrap.cpp)
  for (std::size_t i = 0; i < series.trace.size(); ++i) {
    sums.add(std::array{series.squared_gradient[i], series.trace[i]});
    moves.push_back(1 + (series.squared_gradient[i] - ratio * series.trace[i]) / mean_trace);
  }
  const std::size_t block = block_length(moves);
  std::mt19937_64 random(18120616);
  std::vector<double> ratios;
  for (int r = 0; r < kResamples; ++r) {
    const std::vector<double> drawn = sums.draw(block, random);
    if (!(drawn[1] > 0)) return std::nullopt;
    ratios.push_back(drawn[0] / drawn[1]);
  }
  return Interval{quantile(ratios, 0.05), quantile(ratios, 0.95)};
}

/// 1 / a number that may be 0 or below, where it was to be above 0.
double inverse(double x) { return x > 0 ? 1 / x : kUnbounded; }

}  // namespace

NoiseScale noise_scale(const runlog::Run& run) {
  if (run.info.small_batch == 0 || run.steps.empty()) return {};
  NoiseScale s{.first_step = run.steps[run.steps.size() / 2].step, .last_step = run.steps.back().step};
  s.small_batch = static_cast<double>(run.info.small_batch);
  Series series;
  for (const runlog::StepRecord& step : run.steps)
    if (step.step >= s.first_step) series.add(step, s.small_batch);
  if (series.batch.size() < kFewestPairs) return {};
  s.batch = mean(series.batch);
  s.squared_gradient = mean(series.squared_gradient);
  s.trace = mean(series.trace);
  if (!(s.trace > 0)) return {};
  const double ratio = s.squared_gradient / s.trace;
  const auto turned = gradient_over_trace(series, ratio, s.trace);
  if (!turned) return {};
  s.samples = inverse(ratio);
  s.interval = {inverse(turned->high), inverse(turned->low)};
  s.steps = static_cast<std::int64_t>(series.batch.size());
  return s;
}

std::string to_text(const NoiseScale& s) {
  if (s.steps == 0) return "";
  const std::string from = fmt::format("over steps {} to {}, from gradients of {:g} and {:g} samples", s.first_step,
                                       s.last_step, s.small_batch, s.batch);
  if (std::isfinite(s.interval.high))
    return fmt::format("gradient noise scale {:.3g} samples (90 % interval {:.3g} to {:.3g}), {}", s.samples,
                       s.interval.low, s.interval.high, from);
  if (std::isfinite(s.interval.low))
    return fmt::format(
        "gradient noise scale above {:.3g} samples (95 % sure), {}: more steps or larger batches say more",
        s.interval.low, from);
  return fmt::format("gradient noise scale not known: noise hides the gradient, {}", from);
}

}  // namespace gpumonth::scaling
