#include "budget/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "budget/format.h"
#include "budget/html.h"

namespace gpumonth::budget {
namespace {

std::string en_dash(const Number& number, std::string (*format)(double)) {
  const std::string low = format(number.low), high = format(number.high);
  return low == high ? low : low + " – " + high;
}

std::string budget_cards(const Budget& budget) {
  if (budget.rungs.empty()) return "";
  const Rung& first = budget.rungs.front();
  const Rung& last = budget.rungs.back();
  std::string out = html::card(fmt::format("{}, GPU-months", first.id), en_dash(first.gpu_months, grouped),
                               fmt::format("where the ladder starts, {}", budget.scenario.hardware.name));
  if (&first != &last)
    out += html::card(fmt::format("{}, GPU-months", last.id), en_dash(last.gpu_months, grouped),
                      fmt::format("where it ends, {}{}", budget.scenario.hardware.name,
                                  last.is_drawn() ? fmt::format("; median {}", grouped(last.median)) : ""));
  for (const auto& group : budget.groups)
    for (const auto& line : group.lines) {
      if (line.id == "days")
        out += html::card(
            "days", en_dash(line.number, compact),
            fmt::format("{}, {} GPUs", line.label, range_text(budget.scenario.at("cost.gpus"), grouped)));
      if (line.id == "usd") out += html::card("USD", en_dash(line.number, compact), "compute alone");
    }
  return out;
}

std::string run_cards(const std::vector<Efficiency>& runs) {
  const Efficiency *best = nullptr, *fastest = nullptr;
  for (const auto& run : runs) {
    if (run.has_mfu() && (!best || run.mfu > best->mfu)) best = &run;
    if (run.steps > 0 && (!fastest || run.samples_per_s > fastest->samples_per_s)) fastest = &run;
  }
  std::string out;
  if (best)
    out += html::card(best->peak_is_measured ? "best share of the measured matrix-product rate" : "best MFU",
                      percent(best->mfu),
                      fmt::format("{}, {} rank{}, {}", best->model_name, best->ranks,
                                  best->ranks == 1 ? "" : "s", best->device_name));
  if (fastest)
    out += html::card("fastest run, samples/s", grouped(fastest->samples_per_s),
                      fmt::format("{}, {} rank{}; {} GFLOP/s", fastest->model_name, fastest->ranks,
                                  fastest->ranks == 1 ? "" : "s", grouped(fastest->flops_per_s / 1e9)));
  return out;
}

std::string header(const std::vector<runlog::Run>& runs, const Budget* budget) {
  const std::string title = budget ? budget->scenario.title : "Training runs";
  std::string subtitle = budget ? budget->scenario.summary + " " : "";
  subtitle +=
      fmt::format("Measured with {} run log{} of gpumonth {}.", runs.size(), runs.size() == 1 ? "" : "s",
                  runs.empty() ? "" : runs.front().info.gpumonth_version);
  return fmt::format("<header><h1>{}</h1><div class=\"muted\">{}</div></header>\n", html::escape(title),
                     html::escape(subtitle));
}

}  // namespace

std::string report_html(const std::vector<runlog::Run>& runs, const Budget* budget,
                        const Backtest* backtest) {
  std::vector<Efficiency> efficiencies;
  for (const auto& run : runs) efficiencies.push_back(efficiency_of(run));
  std::string body = header(runs, budget);
  body += "<div class=\"cards\">\n" + (budget ? budget_cards(*budget) : "") + run_cards(efficiencies) +
          "</div>\n";
  if (budget)
    body += budget_section(*budget);
  else
    body +=
        "<p class=\"muted\">No scenario was given, so that there is no budget here: add --scenario "
        "configs/scenarios/sora-2024.toml.</p>\n";
  if (backtest) body += backtest_section(*backtest);
  body += runs_section(runs, efficiencies);
  body += machines_section(runs);
  body += "<footer>Made by gpumonth. Every formula stands in docs/method.md.</footer>\n";
  return html::page(budget ? budget->scenario.title + " - gpumonth" : "gpumonth report", body);
}

}  // namespace gpumonth::budget
