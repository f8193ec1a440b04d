#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "report/html.h"
#include "runlog/shared_samples.h"

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

std::vector<budget::Efficiency> efficiencies_of(const std::vector<runlog::Run>& runs) {
  std::vector<budget::Efficiency> all;
  for (const auto& run : runs) all.push_back(budget::efficiency_of(run));
  return all;
}

/// Of whole trainings: the speed of one rank's share is on no curve. A budget has none of those.
std::string scaling_of_whole(std::vector<runlog::Run> runs, const std::vector<budget::Efficiency>& efficiencies,
                             const budget::Budget* budget) {
  const auto shares = std::erase_if(runs, [](const runlog::Run& run) { return run.info.sequence_share > 1; });
  return scaling_section(runs, shares > 0 ? efficiencies_of(runs) : efficiencies, budget);
}

std::vector<std::string> with_shared_samples(std::vector<std::string> notes, const std::vector<runlog::Run>& runs) {
  for (const auto& run : runs)
    if (const std::string text = runlog::shared_samples_text(run); !text.empty())
      notes.push_back(run.path + ": " + text);
  return notes;
}

}  // namespace

std::string report_html(const std::vector<runlog::Run>& runs, const budget::Budget* budget,
                        const budget::Backtest* backtest, const std::vector<std::string>& notes,
                        const Quality* quality) {
  const std::vector<budget::Efficiency> efficiencies = budget ? budget->runs : efficiencies_of(runs);
  std::string body = header(runs, budget);
  if (budget)
    body += answer_section(*budget) + budget_section(*budget);
  else
    body += "<div class=\"cards\">\n" + run_cards(efficiencies) +
            "</div>\n<p class=\"muted\">No scenario was given, so that there is no budget here: add --scenario "
            "configs/scenarios/sora-2024.toml.</p>\n";
  if (quality) body += quality_section(*quality);
  body += scaling_of_whole(runs, efficiencies, budget);
  if (backtest) body += backtest_section(*backtest);
  if (budget) body += numbers_section(*budget);
  const auto groups = scaling::group_runs(runs);
  body += runs_section(runs, groups, efficiencies, with_shared_samples(notes, runs));
  body += machines_section(runs, groups);
  body += "<footer>Made by gpumonth. Every formula stands in docs/method.md.</footer>\n";
  return html::page(budget ? budget->scenario.title + " - gpumonth" : "gpumonth report", body);
}

}  // namespace gpumonth::report
