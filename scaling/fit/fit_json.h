// A fit and its forecasts for other programs and for people.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "scaling/fit/fit.h"

namespace gpumonth::scaling {

/// "128" or "128:4": ranks, and the batch per rank where it is given. Throws UserError.
struct Target {
  std::int64_t ranks = 0;
  double batch_per_rank = kUnknownBatch;
};
std::vector<Target> parse_targets(const std::string& text);
/// 2, 4 and 8 times the most ranks of the curve.
std::vector<Target> default_targets(const Fit& fit);

/// predictions[] and baseline_ideal[] of {ranks, samples_per_s, ...}, the curve, the shapes with their
/// weights, notes[].
Json to_json(const Fit& fit, const std::vector<Target>& targets);
std::string to_text(const Fit& fit, const std::vector<Target>& targets);

}  // namespace gpumonth::scaling
