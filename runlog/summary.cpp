#include "runlog/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/quantile.h"

namespace gpumonth::runlog {
namespace {

double median(const std::vector<StepRecord>& steps, double StepRecord::*column) {
  std::vector<double> values;
  for (const StepRecord& step : steps) values.push_back(step.*column);
  return quantile_in_place(values, 0.5);
}

}  // namespace

Summary summarize(const Run& run) {
  const std::vector<StepRecord> steps = run.steady();
  Summary s;
  s.steps = static_cast<std::int64_t>(steps.size());
  if (steps.empty()) return s;
  for (const auto column : {&StepRecord::step_time_s, &StepRecord::data_s, &StepRecord::forward_s,
                            &StepRecord::backward_s, &StepRecord::comm_s, &StepRecord::exposed_comm_s,
                            &StepRecord::optimizer_s, &StepRecord::model_flops})
    s.median.*column = median(steps, column);
  s.samples_per_s = static_cast<double>(steps.front().samples) / s.median.step_time_s;
  s.model_flops_per_s = s.median.model_flops / s.median.step_time_s;
  double comm_s = 0, exposed_s = 0;
  for (const StepRecord& step : steps) {
    comm_s += step.comm_s;
    exposed_s += step.exposed_comm_s;
  }
  s.hidden_comm = comm_s > 0 ? 1 - std::min(1.0, exposed_s / comm_s) : std::nan("");
  return s;
}

std::string to_text(const Summary& s) {
  if (s.steps == 0) return "";
  const StepRecord& m = s.median;
  std::string text = fmt::format(
      "{} steady steps, medians: {:.1f} ms = data {:.1f} + forward {:.1f} + backward {:.1f} + exposed communication "
      "{:.1f} + optimizer {:.1f}; {:.2f} samples/s, {:.1f} GFLOP/s",
      s.steps, m.step_time_s * 1e3, m.data_s * 1e3, m.forward_s * 1e3, m.backward_s * 1e3, m.exposed_comm_s * 1e3,
      m.optimizer_s * 1e3, s.samples_per_s, s.model_flops_per_s / 1e9);
  if (std::isfinite(s.hidden_comm))
    text += fmt::format("; communication {:.1f} ms, {:.0f} % of backward, {:.0f} % of it hidden", m.comm_s * 1e3,
                        100 * m.comm_s / m.backward_s, 100 * s.hidden_comm);
  return text;
}

}  // namespace gpumonth::runlog
