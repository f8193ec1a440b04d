// The report's figures, each an SVG element; an empty string where the logs hold nothing to show.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "budget/backtest.h"
#include "budget/budget.h"
#include "report/quality.h"
#include "runlog/record.h"
#include "scaling/fit/fit.h"
#include "scaling/run_groups.h"

namespace gpumonth::report {

/// `groups`: group_runs(runs). Of more steps than the figure has columns, the lowest and the highest of each column.
std::string loss_figure(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups);
/// How many steps have no finite loss and are not drawn, as a sentence; empty where none.
std::string loss_note(const std::vector<runlog::Run>& runs);
/// Mean steady step, stacked, repeats together: data, forward, backward, exposed communication, optimizer,
/// the rest; ms.
std::string breakdown_figure(const std::vector<budget::Efficiency>& runs, const std::vector<scaling::RunGroup>& groups);
/// Every rank's own step time on the run with the most ranks: median and 5-95 %, ms.
std::string straggler_figure(const std::vector<runlog::Run>& runs);
/// When each gradient bucket was ready, started and done on one sampled step, ms.
std::string bucket_figure(const std::vector<runlog::Run>& runs);
std::string throughput_figure(const std::vector<budget::Efficiency>& runs);
std::string efficiency_figure(const std::vector<budget::Efficiency>& runs);
std::string ladder_figure(const budget::Budget& budget);
std::string outputs_figure(const budget::Budget& budget);
/// GPU-months with one input at a time at the ends of its range, the widest on top.
std::string tornado_figure(const budget::Budget& budget);
/// Predicted over disclosed cost of known trainings, with 90 % intervals.
std::string backtest_figure(const budget::Backtest& backtest);
/// Throughput per GPU, per cent of the curve's first point, against the logarithm of the number of GPUs: what
/// was measured, the fit, and its 90 % band out to `planned` GPUs (0: not known, eight times the most), at
/// most to `reach` (0: no limit), beyond which the budget does not use it. `unit`: "rank" or "GPU". `runs`, where the
/// curve is of run logs, tell which points were replayed or simulated. Empty for a curve on one number of GPUs.
std::string fit_figure(const scaling::Fit& fit, std::int64_t planned, std::int64_t reach, const char* id,
                       const char* unit, const std::vector<budget::Efficiency>& runs = {});
/// The fewest ranks of each kind of points; a point of a table is measured.
std::map<runlog::Origin, std::int64_t> first_ranks(const scaling::ScalingCurve& curve,
                                                   const std::vector<budget::Efficiency>& runs);
/// 90 % band and median against the number of GPUs; empty without a sweep of two.
std::string sweep_months_figure(const budget::Budget& budget);
std::string sweep_days_figure(const budget::Budget& budget);

/// The parts of a mean steady step, s; in the order of the stack.
struct StepPart {
  const char* name;
  const char* colour;
  double seconds;
};
std::vector<StepPart> mean_step(const budget::Efficiency& run);
/// The mean over a group's runs that have steady steps; empty where none has.
std::vector<StepPart> mean_step(const scaling::RunGroup& group, const std::vector<budget::Efficiency>& runs);

/// Validation loss by noise level of every checkpoint; empty where none has levels.
std::string noise_level_figure(const Quality& quality);

}  // namespace gpumonth::report
