#include "trainer/learning_rate.h"

#include <cmath>
#include <numbers>

namespace gpumonth::trainer {
namespace {

/// How far `step` is from `begin` to `end`: 0 up to the first, 1 from the second on.
double part_done(std::int64_t step, std::int64_t begin, std::int64_t end) {
  if (step <= begin) return 0;
  if (step >= end) return 1;
  return static_cast<double>(step - begin) / static_cast<double>(end - begin);
}

}  // namespace

double learning_rate(const RunConfig& c, std::int64_t step) {
  const RunConfig::Optimizer& o = c.optimizer;
  const double rise = part_done(step, 0, o.warmup_steps);
  double gone = 0;  // of the way down to final_ratio
  if (o.schedule == "cosine")
    gone = 0.5 * (1 - std::cos(std::numbers::pi * part_done(step, o.warmup_steps, c.run.steps)));
  if (o.schedule == "wsd") gone = std::sqrt(part_done(step, c.run.steps - o.decay_steps, c.run.steps));
  return o.learning_rate * rise * (1 - (1 - o.final_ratio) * gone);
}

}  // namespace gpumonth::trainer
