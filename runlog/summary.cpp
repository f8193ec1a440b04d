#include "runlog/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "runlog/warm_up.h"

namespace gpumonth::runlog {
namespace {

constexpr double kNotableChange = 0.01;  ///< of the throughput: less is no news
constexpr std::array kTimes = {&StepRecord::step_time_s, &StepRecord::data_s, &StepRecord::forward_s,
                               &StepRecord::backward_s,  &StepRecord::comm_s, &StepRecord::exposed_comm_s,
                               &StepRecord::optimizer_s};

void add(const StepRecord& step, Summary& s) {
  if (step.phase != Phase::steady) {
    StepsAndTime& left_out = step.phase == Phase::warm_up ? s.warm_up : s.checkpoint;
    ++left_out.steps;
    left_out.time_s += step.step_time_s;
    return;
  }
  s.least_samples = s.steps == 0 ? step.samples : std::min(s.least_samples, step.samples);
  s.most_samples = std::max(s.most_samples, step.samples);
  ++s.steps;
  s.time_s += step.step_time_s;
  s.samples += static_cast<double>(step.samples);
  s.tokens += static_cast<double>(step.tokens);
  s.model_flops += step.model_flops;
  s.hardware_flops += step.hardware_flops;
  for (const auto column : kTimes) s.mean.*column += step.*column;
}

void find_slow_start(std::span<const Run> logs, Summary& s) {
  std::vector<double> per_sample_s;  // the batch may change
  for (const Run& log : logs)
    for (const StepRecord& step : log.steady())
      per_sample_s.push_back(step.step_time_s / static_cast<double>(step.samples));
  const auto length = static_cast<std::int64_t>(warm_up_length(per_sample_s));
  StepsAndTime slow;
  double slow_samples = 0;
  for (const Run& log : logs)
    for (const StepRecord& step : log.steady()) {
      if (slow.steps == length) break;
      ++slow.steps;
      slow.time_s += step.step_time_s;
      slow_samples += static_cast<double>(step.samples);
    }
  const double after = (s.samples - slow_samples) / (s.time_s - slow.time_s);
  if (slow.steps == 0 || after < (1 + kNotableChange) * s.samples_per_s) return;
  s.slow_start = slow;
  s.samples_per_s_after = after;
}

double all_time_s(const Summary& s) { return s.time_s + s.warm_up.time_s + s.checkpoint.time_s; }

}  // namespace

double Summary::other_s() const {
  return mean.step_time_s - mean.data_s - mean.forward_s - mean.backward_s - mean.exposed_comm_s - mean.optimizer_s;
}

Summary summarize(std::span<const Run> logs) {
  Summary s;
  for (const Run& log : logs)
    for (const StepRecord& step : log.steps) add(step, s);
  if (s.steps == 0) return s;
  s.samples_per_s = s.samples / s.time_s;
  s.model_flops_per_s = s.model_flops / s.time_s;
  for (const auto column : kTimes) s.mean.*column /= static_cast<double>(s.steps);
  s.hidden_comm = s.mean.comm_s > 0 ? 1 - std::min(1.0, s.mean.exposed_comm_s / s.mean.comm_s)
                                    : std::numeric_limits<double>::quiet_NaN();
  find_slow_start(logs, s);
  return s;
}

Summary summarize(const Run& run) { return summarize({&run, 1}); }

std::string left_out_text(const Summary& s) {
  const std::int64_t left_out = s.warm_up.steps + s.checkpoint.steps;
  if (left_out == 0) return "";
  std::string which;
  if (s.warm_up.steps > 0) which += fmt::format("{} warm_up", s.warm_up.steps);
  if (s.checkpoint.steps > 0) which += fmt::format("{}{} checkpoint", which.empty() ? "" : ", ", s.checkpoint.steps);
  return fmt::format("{} of {} steps are left out ({}), {:.1f} % of the time", left_out, s.steps + left_out, which,
                     100 * (s.warm_up.time_s + s.checkpoint.time_s) / all_time_s(s));
}

std::string slow_start_text(const Summary& s) {
  if (s.slow_start.steps == 0) return "";
  return fmt::format(
      "the first {} of {} steady steps are slower than the rest and count ({:.0f} % of the time): {:.4g} "
      "samples/s with them, {:.4g} without",
      s.slow_start.steps, s.steps, 100 * s.slow_start.time_s / s.time_s, s.samples_per_s, s.samples_per_s_after);
}

std::string to_text(const Summary& s) {
  if (s.steps == 0) return "";
  const StepRecord& m = s.mean;
  std::string text = fmt::format(
      "{} steady steps, mean {:.1f} ms = data {:.1f} + forward {:.1f} + backward {:.1f} + exposed communication "
      "{:.1f} + optimizer {:.1f} + other {:.1f}; {:.2f} samples/s, {:.1f} GFLOP/s",
      s.steps, m.step_time_s * 1e3, m.data_s * 1e3, m.forward_s * 1e3, m.backward_s * 1e3, m.exposed_comm_s * 1e3,
      m.optimizer_s * 1e3, s.other_s() * 1e3, s.samples_per_s, s.model_flops_per_s / 1e9);
  if (std::isfinite(s.hidden_comm) && m.backward_s > 0)
    text += fmt::format("; communication {:.1f} ms, {:.0f} % of backward, {:.0f} % of it hidden", m.comm_s * 1e3,
                        100 * m.comm_s / m.backward_s, 100 * s.hidden_comm);
  for (const std::string& note : {left_out_text(s), slow_start_text(s)})
    if (!note.empty()) text += "; " + note;
  return text;
}

}  // namespace gpumonth::runlog
