// One self-contained HTML page: run logs, and with a scenario the budget that follows from them.
#pragma once

#include <string>
#include <vector>

#include "budget/backtest.h"
#include "budget/budget.h"
#include "budget/run_groups.h"
#include "runlog/record.h"

namespace gpumonth::budget {

/// `budget`, made of these runs, may be nullptr: then the page shows the runs alone, and says how to add a scenario.
/// `backtest` may be nullptr too. `notes` say what was not taken of what was given. Needs gnuplot.
std::string report_html(const std::vector<runlog::Run>& runs, const Budget* budget, const Backtest* backtest = nullptr,
                        const std::vector<std::string>& notes = {});

// The page's parts (report_*.cpp).
std::string answer_section(const Budget& budget);
/// `groups`: group_runs(runs).
std::string runs_section(const std::vector<runlog::Run>& runs, const std::vector<RunGroup>& groups,
                         const std::vector<Efficiency>& efficiencies, const std::vector<std::string>& notes);
std::string budget_section(const Budget& budget);
/// The budget's lines, inputs and notes, to look up.
std::string numbers_section(const Budget& budget);
/// The fit of the runs' scaling, and of the published curve that the budget reads; empty where there is neither.
std::string scaling_section(const std::vector<runlog::Run>& runs, const std::vector<Efficiency>& efficiencies,
                            const Budget* budget);
std::string backtest_section(const Backtest& backtest);
std::string machines_section(const std::vector<runlog::Run>& runs, const std::vector<RunGroup>& groups);

}  // namespace gpumonth::budget
