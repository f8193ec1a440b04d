// A set of runs to compare: throughput by rank count and batch, one number per run, because runs are what repeats.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runlog/record.h"
#include "scaling/compare/step_parts.h"
#include "scaling/curve.h"
#include "scaling/measured_run.h"

namespace gpumonth::scaling {

struct MeasuredRun {
  std::string name;  ///< its first log, or what a table calls it
  std::int64_t ranks = 0;
  double batch_per_rank = std::numeric_limits<double>::quiet_NaN();  ///< samples; NaN: unknown
  double samples_per_s = 0;                                          ///< of all ranks, over all steps that count
  double within = std::numeric_limits<double>::quiet_NaN();  ///< standard error of log(samples_per_s) from its steps
  std::size_t steps = 0;                                     ///< steady ones; 0 from a table
  std::optional<StepShares> shares;                          ///< of the mean step; only from logs
  std::string identity;                                      ///< which run it is; empty from a table
};

struct RunSet {
  std::string name;  ///< as given
  std::string unit = "samples/s";
  std::vector<MeasuredRun> runs;
  std::optional<RunFacts> facts;  ///< only from logs
  std::vector<std::string> notes;

  bool has_batch() const;
};

/// The logs of one run: more than one after a resume. Their steady steps are taken together. Empty where
/// there are fewer than kFewestSteps of them. `summary`: of these logs.
std::optional<MeasuredRun> measure(std::span<const runlog::Run> logs, const runlog::Summary& summary);

RunSet set_of_curve(const ScalingCurve& curve);

/// `argument`: see find_run_files(); a CSV file alone is read as `fit --csv` does (`curve`: which one of
/// several). A log that was named twice counts once. Throws UserError: what is not there, another schema, logs that do
/// not belong together, no steady steps.
RunSet read_run_set(const std::string& argument, const std::string& curve = "");

}  // namespace gpumonth::scaling
