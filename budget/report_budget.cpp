// The report's part that follows from the scenario: ladder, outputs, tables with provenance.
#include <fmt/format.h>

#include <cmath>

#include "budget/figures.h"
#include "budget/format.h"
#include "budget/html.h"
#include "budget/report.h"
#include "budget/text_parts.h"

namespace gpumonth::budget {
namespace {

std::string tag_html(Tag tag) { return fmt::format("<span class=\"tag {0}\">{0}</span>", name(tag)); }

std::string rung_html(const Budget& budget, const Rung& rung) {
  std::string text;
  if (!rung.replaces.empty())
    text += fmt::format("<del>Instead of: {}.</del><br>", html::escape(html::dashes(rung.replaces)));
  text += html::escape(html::dashes(rung.replacement)) + ".<div class=\"inputs\">";
  for (const auto& input : rung.inputs) {
    const InputDescription d = describe_input(budget, input);
    text += fmt::format("<span title=\"{}\">{}</span> {} ", html::escape(d.source), html::escape(input),
                        tag_html(d.tag));
  }
  return fmt::format(
      "<li><div><div class=\"id\">{}</div><div class=\"months\">{}<br><span "
      "class=\"muted\">GPU-months</span></div></div>"
      "<div>{}</div></div></li>\n",
      html::escape(rung.id), html::escape(html::dashes(range_text(rung.gpu_months, grouped))), text);
}

std::string group_html(const Budget& budget, const Group& group) {
  std::string rows;
  for (const auto& line : group.lines)
    rows += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"muted\">{}</td></tr>\n",
                        (line.label.starts_with(" ") ? "&emsp;" : "") + html::escape(line.label),
                        html::escape(html::dashes(value_with_unit(budget, line.number))),
                        tag_html(line.number.tag), html::escape(html::dashes(line.number.formula)));
  return fmt::format(
      "<h3>{}</h3>\n<div class=\"scroll\"><table class=\"group\"><thead><tr><th></th><th "
      "class=\"n\">value</th><th>provenance</th>"
      "<th>how</th></tr></thead><tbody>\n{}</tbody></table></div>\n",
      html::escape(group.title), rows);
}

std::string sweep_html(const Budget& budget) {
  if (budget.sweep.empty()) return "";
  std::vector<std::vector<std::string>> rows;
  for (const auto& r : budget.sweep) {
    const auto text = [](const Number& n, std::string (*format)(double)) {
      return n.known() ? html::dashes(range_text(n, format)) : std::string();
    };
    if (r.refused.empty())
      rows.push_back({grouped(static_cast<double>(r.gpus)), grouped(r.global_batch),
                      text(r.efficiency, percent), text(r.goodput, percent), text(r.gpu_months, compact),
                      text(r.days, compact), text(r.usd, compact), text(r.energy_mwh, compact)});
    else
      rows.push_back({grouped(static_cast<double>(r.gpus)), "", "", "", "does not fit", "", "", ""});
  }
  return "<h2>How many GPUs</h2>\n<p>More GPUs finish sooner and cost more: they wait for each other, fail "
         "more often, "
         "and a larger batch needs more samples.</p>\n<div class=\"pair\">" +
         html::figure(sweep_months_figure(budget), "GPU-months: median, and 90 % of the draws.") +
         html::figure(sweep_days_figure(budget), "Days: median, and 90 % of the draws.") + "</div>\n" +
         html::table({"GPUs", "batch", "efficiency", "goodput", "GPU-months", "days", "USD", "MWh"}, rows, 0);
}

std::string shares_html(const Budget& budget) {
  if (budget.months_shares.empty()) return "";
  return "<h2>What the range comes from</h2>\n<p>The three inputs that matter most for the GPU-months: " +
         html::escape(most_important(budget.months_shares)) +
         (budget.usd_shares.empty() ? ""
                                    : "; for the money: " + html::escape(most_important(budget.usd_shares))) +
         ".</p>\n" +
         html::figure(
             tornado_figure(budget),
             "Bars: the result with this input at its 5 % and 95 % quantile and all others at their medians. "
             "Numbers: the share of the result's variance that would be gone were this input known.");
}

std::string inputs_html(const Budget& budget) {
  std::string rows;
  for (const auto& [key, input] : budget.scenario.inputs) {
    if (key == "model") continue;
    const bool flop = input.number.high >= 1e6;
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"muted\">{}</td></tr>\n",
        html::escape(key), html::escape(html::dashes(range_text(input.number, flop ? scientific : compact))),
        html::escape(input.number.unit), tag_html(input.number.tag), html::escape(input.source));
  }
  const auto& model = budget.scenario.inputs.at("model");
  rows += fmt::format(
      "<tr><td>model</td><td class=\"n\">{} tokens</td><td></td><td>{}</td><td "
      "class=\"muted\">{}</td></tr>\n",
      grouped(static_cast<double>(budget.scenario.model.tokens())), tag_html(model.number.tag),
      html::escape(model.source));
  return "<h3>Every input</h3>\n<div class=\"scroll\"><table><thead><tr><th>key in the scenario</th><th "
         "class=\"n\">value</th>"
         "<th>unit</th><th>tag</th><th>source</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

}  // namespace

std::string backtest_section(const Backtest& backtest) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& r : backtest.rows)
    rows.push_back({r.title, grouped(r.gpus), grouped(std::round(r.predicted_hours)),
                    grouped(std::round(r.low_hours)) + " – " + grouped(std::round(r.high_hours)),
                    grouped(r.disclosed_hours), fmt::format("{:.2f}", r.ratio()), r.covered() ? "yes" : "no",
                    r.own_benchmark ? "its own" : "of its device"});
  return fmt::format(
             "<h2>How good such budgets are</h2>\n<p>Trainings whose cost was disclosed, through the same "
             "code: median error "
             "{:.0f} %, and {:.0f} % of the disclosed costs lie in their 90 % interval.</p>\n",
             100 * backtest.median_error, 100 * backtest.coverage) +
         html::figure(backtest_figure(backtest),
                      "Points: median of the prediction. Bars: 90 % of the draws. Nothing was "
                      "fitted to the disclosed costs.") +
         html::table({"training", "GPUs", "predicted, GPU-hours", "90 %", "disclosed", "ratio", "inside",
                      "utilisation"},
                     rows, 1, 6);
}

std::string budget_section(const Budget& budget) {
  std::string out =
      "<h2>The ladder</h2>\n<p>From the published estimate to a budget: every rung replaces one assumption "
      "of "
      "the rung before it.</p>\n";
  out += html::figure(ladder_figure(budget),
                      "GPU-months, low to high, on a logarithmic scale. ×: factor against the rung before.");
  out += "<ol class=\"rungs\">\n";
  for (const auto& rung : budget.rungs) out += rung_html(budget, rung);
  out += "</ol>\n";
  out += sweep_html(budget) + shares_html(budget);
  out += "<h2>What outputs cost</h2>\n";
  out += html::figure(outputs_figure(budget),
                      "FLOP to make one output, logarithmic. As published: the article's operations, which "
                      "are multiply-adds for the DiT. Counted: 2 FLOP per multiply-add, and attention.");
  for (const auto& group : budget.groups)
    if (group.id != "outputs") out += group_html(budget, group);
  out += "<details><summary>Every input with its source</summary>\n" + inputs_html(budget) + "</details>\n";
  if (!budget.notes.empty()) {
    out += "<h3>Left out</h3>\n<ul class=\"muted\">\n";
    for (const auto& note : budget.notes) out += "<li>" + html::escape(note) + "</li>\n";
    out += "</ul>\n";
  }
  return out;
}

}  // namespace gpumonth::budget
