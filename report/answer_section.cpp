// The report's first screen answers, in this order: how much, how sure, what the public estimate says and why this one
// differs, what would make it surer (surer.cpp). Then the assumptions side by side, each number with its tag.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/format.h"
#include "budget/print/input_words.h"
#include "report/html.h"
#include "report/report.h"

namespace gpumonth::report {
namespace {

constexpr std::size_t kMostImportant = 3;

std::string range_html(const budget::Number& number, std::string (*format)(double)) {
  return html::escape(html::dashes(range_text(number, format)));
}

const budget::Line* find_line(const budget::Budget& budget, const std::string& id) {
  for (const auto& group : budget.groups)
    for (const auto& line : group.lines)
      if (line.id == id) return &line;
  return nullptr;
}

double middle_of(const budget::Rung& rung) {
  return rung.is_drawn() ? rung.draws.median : std::sqrt(rung.gpu_months.low * rung.gpu_months.high);
}

std::string headline(const budget::Budget& budget) {
  const budget::Rung& last = budget.rungs.back();
  return fmt::format("<p class=\"big\">{} <small>GPU-months of the {}</small></p>\n<p>{} {} {}</p>\n",
                     three_digits(middle_of(last)), html::escape(budget.scenario.hardware.name),
                     range_html(last.gpu_months, three_digits),
                     last.is_drawn() ? "with 90 % probability; above: the median"
                                     : "with all inputs at their lower or at their upper ends; above: the middle",
                     html::tag(last.gpu_months.tag));
}

std::string width_words(const budget::Rung& last) {
  const budget::Number& n = last.gpu_months;
  if (!n.is_range()) return "<p>No input has a range: this is one number, and not a sure one.</p>\n";
  return fmt::format("<p>{} The upper end is {} times the lower.</p>\n",
                     last.is_drawn()
                         ? "Nine times in ten it lies in the range above, if the inputs are what they say."
                         : "The range is every input at its worst or at its best, which has no probability.",
                     three_digits(n.high / n.low));
}

std::string three_inputs(const budget::Budget& budget) {
  if (budget.months_shares.empty()) return "";
  std::string items;
  for (std::size_t i = 0; i < std::min(kMostImportant, budget.months_shares.size()); ++i) {
    const auto& [share, tag] = budget.months_shares[i];
    items += fmt::format("<li>{}: {:.0f} % of the variance, {} – {} between its ends {}</li>\n",
                         html::escape(budget::input_words(share.input)), 100 * share.first_order,
                         three_digits(share.low), three_digits(share.high), html::tag(tag));
  }
  return "<p>It hangs on</p>\n<ol>" + items + "</ol>\n";
}

/// Of each kind, also where there is none: how many inputs the last rung rests on, and their share of the variance. Only
/// what nobody replayed or simulated goes unsaid: most have not.
std::string kinds_of_inputs(const budget::Budget& budget) {
  using budget::Tag;
  std::map<Tag, int> inputs;
  std::map<Tag, double> shares;
  for (const auto& input : budget.rungs.back().gpu_months.inputs) ++inputs[budget::describe_input(budget, input).tag];
  for (const auto& [share, tag] : budget.months_shares) shares[tag] += share.first_order;
  std::string out;
  for (const Tag tag : {Tag::measured, Tag::replayed, Tag::simulated, Tag::fitted, Tag::published, Tag::assumed}) {
    if (inputs[tag] == 0 && (tag == Tag::replayed || tag == Tag::simulated)) continue;
    const std::string share =
        budget.months_shares.empty() ? "" : fmt::format(", {:.0f} % of the variance", 100 * shares[tag]);
    out += fmt::format("<span class=\"kind\">{} {} input{}{}</span>\n", html::tag(tag), inputs[tag],
                       inputs[tag] == 1 ? "" : "s", share);
  }
  return "<p class=\"kinds\">It rests on\n" + out + "</p>\n";
}

std::string years(const budget::Number& days) {
  if (!(days.high > 730)) return "";
  return fmt::format("; {} – {} years", grouped(days.low / 365.25), grouped(days.high / 365.25));
}

std::string card(const budget::Line* line, const std::string& label, const std::string& value,
                 const std::string& note) {
  if (line == nullptr) return "";
  return html::card(label, value, note, html::tag(line->number.tag));
}

std::string cards(const budget::Budget& budget) {
  std::string out;
  if (const budget::Line* days = find_line(budget, "days"))
    out += card(days, "days", html::dashes(range_text(days->number, three_digits)),
                fmt::format("on {} GPUs{}", range_text(budget.scenario.at("cost.gpus"), grouped), years(days->number)));
  if (const budget::Line* usd = find_line(budget, "usd"))
    out += card(usd, "US dollars", html::dashes(range_text(usd->number, money)),
                fmt::format("compute alone, at {} a GPU-hour",
                            html::dashes(range_text(budget.scenario.at("cost.price"), grouped))));
  const budget::Line* building = find_line(budget, "building_energy_mwh");
  if (const budget::Line* energy = building != nullptr ? building : find_line(budget, "energy_mwh")) {
    const bool large = energy->number.low >= 1000;
    const budget::Number shown = large ? energy->number / budget::exactly(1000) : energy->number;
    out += card(energy, large ? "GWh" : "MWh", html::dashes(range_text(shown, three_digits)),
                building != nullptr ? "energy, with the building's cooling" : "energy of the machines");
  }
  if (const budget::Rung* rung = find(budget.rungs, budget::RungId::measured_mfu)) {
    const budget::Number share =
        budget.basis && budget.basis->utilisation.known() ? budget.basis->utilisation : rung->utilisation;
    out += html::card("utilisation", html::dashes(range_text(share, percent)),
                      share.tag == budget::Tag::published ? "of the peak, as others have published"
                                                          : "of the peak that is reached on few GPUs",
                      html::tag(share.tag));
  }
  return "<div class=\"cards\">\n" + out + "</div>\n";
}

/// Where the share of the peak comes from another machine, nobody should sign before it was measured on the
/// right one.
std::string caution(const budget::Budget& budget) {
  std::string device;
  for (const auto& run : budget.runs)
    if (run.has_mfu()) device = run.device_name;
  if (budget.layers) device = budget.layers->carried_over ? budget.layers->fit.logs.front().device_name : "";
  if (device.empty() || !budget::is_carried_over(budget.runs, budget.scenario.hardware)) return "";
  return fmt::format(
      "<p class=\"caution\">The utilisation was measured on {} and is carried over to the {}. Measure there "
      "before money is committed. {}</p>\n",
      html::escape(device), html::escape(budget.scenario.hardware.name), html::tag(budget::Tag::assumed));
}

/// What stands first in a rung's account of itself; the table below has the rest.
std::string first_clause(const std::string& text) { return text.substr(0, text.find("; ")); }

std::string why_it_differs(const budget::Budget& budget) {
  const budget::Rung& first = budget.rungs.front();
  const budget::Rung& last = budget.rungs.back();
  std::string out = fmt::format("<p>{} starts from {} GPU-months {}. ",
                                first.id == budget::RungId::as_published ? "The public estimate" : "This scenario",
                                range_html(first.gpu_months, grouped), html::tag(first.gpu_months.tag));
  if (&first == &last) return out + "Nothing of it has been replaced; the notes below say what is missing.</p>\n";
  std::string items;
  for (std::size_t i = 1; i < budget.rungs.size(); ++i) {
    const budget::Rung& rung = budget.rungs[i];
    const budget::Number factor = rung.factor_over(budget.rungs[i - 1]);
    items += fmt::format("<li><b>× {}</b> {}: instead of “{}”, {}.</li>\n", factor_text(factor.low, factor.high, " – "),
                         name(rung.id), html::escape(html::dashes(rung.replaces)),
                         html::escape(html::dashes(first_clause(rung.replacement))));
  }
  const double start = middle_of(first);
  if (start > 0)
    out += fmt::format("This one is {} times that: the middle of each, in {} step{}.",
                       three_digits(std::round(10 * middle_of(last) / start) / 10), budget.rungs.size() - 1,
                       budget.rungs.size() == 2 ? "" : "s");
  return out + "</p>\n<ul class=\"steps\">" + items + "</ul>\n";
}

/// The tags of what a rung brings in, each once, the strongest first, with the inputs behind it.
std::string tags_of(const budget::Budget& budget, const budget::Rung& rung) {
  std::map<budget::Tag, std::string> inputs;
  for (const auto& input : rung.inputs) {
    std::string& names = inputs[budget::describe_input(budget, input).tag];
    names += (names.empty() ? "" : ", ") + input;
  }
  std::string out;
  for (const auto& [tag, names] : inputs)
    out += fmt::format("<span title=\"{}\">{}</span> ", html::escape(names), html::tag(tag));
  return out;
}

std::string factor_html(const budget::Rung& rung, const budget::Rung* before) {
  if (before == nullptr) return "";
  const budget::Number factor = rung.factor_over(*before);
  return "<br><span class=\"muted\">× " + factor_text(factor.low, factor.high, " – ") + "</span>";
}

std::string draws_html(const budget::Rung& rung) {
  return html::escape(html::dashes(fmt::format("{} .. {}", grouped(rung.draws.low), grouped(rung.draws.high))));
}

std::string side_by_side(const budget::Budget& budget) {
  std::string rows;
  const budget::Rung* before = nullptr;
  for (const auto& rung : budget.rungs) {
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"muted\">{}</td><td>{}. {}</td><td class=\"n\"><b>{}</b> {}{}</td>"
        "<td class=\"n\">{}</td></tr>\n",
        name(rung.id), rung.replaces.empty() ? "" : html::escape(html::dashes(rung.replaces)) + ".",
        html::escape(html::dashes(rung.replacement)), tags_of(budget, rung), range_html(rung.gpu_months, grouped),
        html::tag(rung.gpu_months.tag), factor_html(rung, before), draws_html(rung));
    before = &rung;
  }
  return "<h2>From the published estimate to this one</h2>\n<table class=\"side\"><thead><tr><th>rung</th>"
         "<th>assumed before</th><th>what stands in its place</th><th "
         "class=\"n\">GPU-months</th><th class=\"n\">90 % of the draws</th></tr></thead>"
         "\n<tbody>" +
         rows +
         "</tbody></table>\n<p class=\"muted\">A tag says where a number comes from, a result has that of "
         "its weakest input. GPU-months have both ends of every range at once on the first rungs, from scaling on 90 % of "
         "the draws; beside them are 90 % of the same draws on every rung.</p>\n";
}

}  // namespace

std::string answer_section(const budget::Budget& budget) {
  if (budget.rungs.empty()) return "";
  return "<section class=\"answer\">\n<h2>How much</h2>\n" + headline(budget) + cards(budget) + caution(budget) +
         "<h2>How sure</h2>\n" + width_words(budget.rungs.back()) + three_inputs(budget) + kinds_of_inputs(budget) +
         "<h2>What the public estimate says, and why this one differs</h2>\n" + why_it_differs(budget) +
         "<h2>What would make it surer</h2>\n" + surer(budget) + "</section>\n" + side_by_side(budget);
}

}  // namespace gpumonth::report
