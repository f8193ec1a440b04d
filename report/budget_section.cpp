// The report's part that follows from the scenario: ladder, outputs, tables with provenance.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/format.h"
#include "budget/print/input_words.h"
#include "budget/print/text_parts.h"
#include "report/figures.h"
#include "report/html.h"
#include "report/report.h"

namespace gpumonth::report {
namespace {

std::string rung_inputs(const budget::Budget& budget) {
  std::string rows;
  for (const auto& rung : budget.rungs)
    for (const auto& input : rung.inputs) {
      const budget::InputDescription d = budget::describe_input(budget, input);
      rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"muted\">{}</td></tr>\n",
                          &input == &rung.inputs.front() ? name(rung.id) : "", html::escape(input), html::tag(d.tag),
                          html::escape(d.source));
    }
  return "<details><summary>What each rung brings in, with its source</summary>\n<div "
         "class=\"scroll\"><table><thead><tr>"
         "<th>rung</th><th>input</th><th>tag</th><th>source</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div></details>\n";
}

std::string group_html(const budget::Budget& budget, const budget::Group& group) {
  std::string rows;
  for (const auto& line : group.lines)
    rows += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"muted\">{}</td></tr>\n",
                        (line.label.starts_with(" ") ? "&emsp;" : "") + html::escape(line.label),
                        html::escape(html::dashes(budget::value_with_unit(budget, line.number))),
                        html::tag(line.number.tag), html::escape(html::dashes(line.number.formula)));
  return fmt::format(
      "<h3>{}</h3>\n<div class=\"scroll\"><table class=\"group\"><thead><tr><th></th><th "
      "class=\"n\">value</th><th>provenance</th>"
      "<th>how</th></tr></thead><tbody>\n{}</tbody></table></div>\n",
      html::escape(group.title), rows);
}

std::string sweep_html(const budget::Budget& budget) {
  if (budget.sweep.empty()) return "";
  std::vector<std::vector<std::string>> rows;
  const bool large = std::any_of(budget.sweep.begin(), budget.sweep.end(),
                                 [](const budget::SweepRow& r) { return r.energy_mwh.low >= 1e4; });
  for (const auto& r : budget.sweep) {
    const auto text = [](const budget::Number& n, std::string (*format)(double)) {
      return n.known() ? html::dashes(range_text(n, format)) : std::string();
    };
    if (r.refused.empty())
      rows.push_back({grouped(static_cast<double>(r.gpus)), grouped(r.global_batch), text(r.efficiency, percent),
                      text(r.goodput, percent), text(r.gpu_months, three_digits), text(r.days, three_digits),
                      text(r.usd, money),
                      text(large ? r.energy_mwh / budget::exactly(1000) : r.energy_mwh, three_digits)});
    else
      rows.push_back({grouped(static_cast<double>(r.gpus)), "", "", "", "does not fit", "", "", ""});
  }
  return "<h2>How many GPUs</h2>\n<p>More GPUs finish sooner and cost more: they wait for each other, fail "
         "more often, "
         "and a larger batch needs more samples.</p>\n<div class=\"pair\">" +
         html::figure(sweep_months_figure(budget), "GPU-months: median, and 90 % of the draws.") +
         html::figure(sweep_days_figure(budget), "Days: median, and 90 % of the draws.") + "</div>\n" +
         html::table({"GPUs", "batch", "efficiency", "goodput", "GPU-months", "days", "USD", large ? "GWh" : "MWh"},
                     rows, 0);
}

std::string shares_html(const budget::Budget& budget) {
  if (budget.months_shares.empty()) return "";
  std::vector<std::vector<std::string>> rows;
  for (const auto& [share, tag] : budget.months_shares)
    rows.push_back({budget::input_words(share.input), share.input, name(tag),
                    fmt::format("{:.1f} %", 100 * share.first_order),
                    three_digits(share.low) + " – " + three_digits(share.high)});
  return "<h2>What the range comes from</h2>\n<p>The three inputs that matter most for the GPU-months: " +
         html::escape(budget::most_important(budget.months_shares, "; ", budget::input_words)) + "." +
         (budget.usd_shares.empty()
              ? ""
              : " For the money: " +
                    html::escape(budget::most_important(budget.usd_shares, "; ", budget::input_words)) + ".") +
         "</p>\n" +
         html::figure(tornado_figure(budget),
                      "Bars: the result with this input at its 5 % and 95 % quantile and all others at their medians. "
                      "Numbers: the share of the result's variance that would be gone were this input known.") +
         "<details><summary>The same as a table, with the keys to change</summary>\n" +
         html::table({"input", "key", "tag", "of the variance", "GPU-months, 5 – 95 %"}, rows, 3) + "</details>\n";
}

std::string inputs_html(const budget::Budget& budget) {
  std::string rows;
  for (const auto& [key, input] : budget.scenario.inputs) {
    if (key == "model") continue;
    const bool flop = input.number.high >= 1e6;
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td><td class=\"muted\">{}</td></tr>\n",
        html::escape(key), html::escape(html::dashes(range_text(input.number, flop ? scientific : compact))),
        html::escape(input.number.unit), html::tag(input.number.tag), html::escape(input.source));
  }
  const auto& model = budget.scenario.inputs.at("model");
  rows += fmt::format(
      "<tr><td>model</td><td class=\"n\">{} tokens</td><td></td><td>{}</td><td "
      "class=\"muted\">{}</td></tr>\n",
      grouped(static_cast<double>(budget.scenario.model.tokens())), html::tag(model.number.tag),
      html::escape(model.source));
  return "<h3>Every input</h3>\n<div class=\"scroll\"><table><thead><tr><th>key in the scenario</th><th "
         "class=\"n\">value</th>"
         "<th>unit</th><th>tag</th><th>source</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

}  // namespace

std::string backtest_section(const budget::Backtest& backtest) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& r : backtest.rows)
    rows.push_back({r.title, grouped(r.gpus), grouped(std::round(r.predicted_hours)),
                    grouped(std::round(r.low_hours)) + " – " + grouped(std::round(r.high_hours)),
                    grouped(r.disclosed_hours), fmt::format("{:.2f}", r.ratio()), r.covered() ? "yes" : "no",
                    r.own_benchmark               ? "its own"
                    : r.utilisation_class.empty() ? "a range"
                                                  : "class " + r.utilisation_class});
  return fmt::format(
             "<h2>How good such budgets are</h2>\n<p>Trainings whose cost was disclosed, through the same "
             "code: median error "
             "{:.0f} %, and {:.0f} % of the disclosed costs lie in their 90 % interval.</p>\n",
             100 * backtest.median_error, 100 * backtest.coverage) +
         html::figure(
             backtest_figure(backtest),
             "Points: median of the prediction. Bars: 90 % of the draws. A class's utilisation is learned from "
             "bills of other families: no training's own cost is in its prediction.") +
         html::table(
             {"training", "GPUs", "predicted, GPU-hours", "90 %", "disclosed", "ratio", "inside", "utilisation"}, rows,
             1, 6);
}

std::string budget_section(const budget::Budget& budget) {
  return html::figure(ladder_figure(budget),
                      "GPU-months, low to high, on a logarithmic scale. ×: factor against the rung before.") +
         rung_inputs(budget) + shares_html(budget) + sweep_html(budget);
}

std::string numbers_section(const budget::Budget& budget) {
  std::string out = "<h2>Number by number</h2>\n";
  out += html::figure(outputs_figure(budget),
                      "FLOP to make one output, logarithmic. As published: the article's operations, which "
                      "are multiply-adds for the DiT. Counted: 2 FLOP per multiply-add, and attention.");
  for (const char* id : {"cost", "plan", "layers", "training", "inference", "demand"})
    for (const auto& group : budget.groups)
      if (group.id == id) out += group_html(budget, group);
  out += "<details><summary>Every input with its source</summary>\n" + inputs_html(budget) + "</details>\n";
  if (!budget.notes.empty()) {
    out += "<h3>Notes</h3>\n<ul class=\"muted\">\n";
    for (const auto& note : budget.notes) out += "<li>" + html::escape(note) + "</li>\n";
    out += "</ul>\n";
  }
  return out;
}

}  // namespace gpumonth::report
