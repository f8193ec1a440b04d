#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "report/html.h"

namespace gpumonth::report {
namespace {

std::string run_cards(const std::vector<budget::Efficiency>& runs) {
  const budget::Efficiency *best = nullptr, *fastest = nullptr;
  for (const auto& run : runs) {
    if (run.has_mfu() && (!best || run.mfu > best->mfu)) best = &run;
    if (run.steps > 0 && (!fastest || run.samples_per_s > fastest->samples_per_s)) fastest = &run;
  }
  std::string out;
  if (best)
    out += html::card(best->peak_is_measured ? "best share of the measured matrix-product rate" : "best MFU",
                      percent(best->mfu),
                      fmt::format("{}, {} rank{}, {}", best->model_name, best->ranks, best->ranks == 1 ? "" : "s",
                                  best->device_name));
  if (fastest)
    out += html::card("fastest run, samples/s", grouped(fastest->samples_per_s),
                      fmt::format("{}, {} rank{}; {} GFLOP/s", fastest->model_name, fastest->ranks,
                                  fastest->ranks == 1 ? "" : "s", grouped(fastest->flops_per_s / 1e9)));
  return out;
}

std::string header(const std::vector<runlog::Run>& runs, const budget::Budget* budget) {
  const std::string title = budget ? budget->scenario.title : "Training runs";
  std::string subtitle = budget ? budget->scenario.summary + " " : "";
  subtitle += fmt::format("From {} run log{} of gpumonth {}.", runs.size(), runs.size() == 1 ? "" : "s",
                          runs.empty() ? "" : runs.front().info.gpumonth_version);
  return fmt::format("<header><h1>{}</h1><div class=\"muted\">{}</div></header>\n", html::escape(title),
                     html::escape(subtitle));
}

}  // namespace

std::string report_html(const std::vector<runlog::Run>& runs, const budget::Budget* budget,
                        const budget::Backtest* backtest, const std::vector<std::string>& notes,
                        const Quality* quality) {
  std::vector<budget::Efficiency> efficiencies = budget ? budget->runs : std::vector<budget::Efficiency>();
  if (!budget)
    for (const auto& run : runs) efficiencies.push_back(budget::efficiency_of(run));
  std::string body = header(runs, budget);
  if (budget)
    body += answer_section(*budget) + budget_section(*budget);
  else
    body += "<div class=\"cards\">\n" + run_cards(efficiencies) +
            "</div>\n<p class=\"muted\">No scenario was given, so that there is no budget here: add --scenario "
            "configs/scenarios/sora-2024.toml.</p>\n";
  if (quality) body += quality_section(*quality);
  body += scaling_section(runs, efficiencies, budget);
  if (backtest) body += backtest_section(*backtest);
  if (budget) body += numbers_section(*budget);
  const auto groups = scaling::group_runs(runs);
  body += runs_section(runs, groups, efficiencies, notes);
  body += machines_section(runs, groups);
  body += "<footer>Made by gpumonth. Every formula stands in docs/method.md.</footer>\n";
  return html::page(budget ? budget->scenario.title + " - gpumonth" : "gpumonth report", body);
}

}  // namespace gpumonth::report
