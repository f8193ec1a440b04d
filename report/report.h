// One self-contained HTML page: run logs, and with a scenario the budget that follows from them.
#pragma once

#include <string>
#include <vector>

#include "budget/backtest.h"
#include "budget/budget.h"
#include "report/quality.h"
#include "runlog/record.h"
#include "scaling/run_groups.h"

namespace gpumonth::report {

/// `budget`, made of these runs, may be nullptr: then the page shows the runs alone, and says how to add a scenario.
/// `backtest` and `quality` may be nullptr too. `notes` say what was not taken of what was given. Needs gnuplot.
std::string report_html(const std::vector<runlog::Run>& runs, const budget::Budget* budget,
                        const budget::Backtest* backtest = nullptr, const std::vector<std::string>& notes = {},
                        const Quality* quality = nullptr);

// The page's parts (report_*.cpp).
std::string answer_section(const budget::Budget& budget);
/// The input that matters most, and the command that measures it; the last of the answers.
std::string surer(const budget::Budget& budget);
/// `groups`: group_runs(runs).
std::string runs_section(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups,
                         const std::vector<budget::Efficiency>& efficiencies, const std::vector<std::string>& notes);
std::string budget_section(const budget::Budget& budget);
/// The budget's lines, inputs and notes, to look up.
std::string numbers_section(const budget::Budget& budget);
/// The fit of the runs' scaling, and of the published curve that the budget reads; empty where there is neither.
std::string scaling_section(const std::vector<runlog::Run>& runs, const std::vector<budget::Efficiency>& efficiencies,
                            const budget::Budget* budget);
/// Checkpoints side by side: contact sheets, compute, losses, distances.
std::string quality_section(const Quality& quality);
std::string backtest_section(const budget::Backtest& backtest);
std::string machines_section(const std::vector<runlog::Run>& runs, const std::vector<scaling::RunGroup>& groups);

}  // namespace gpumonth::report
