#include "report/html.h"

#include <fmt/format.h>

namespace gpumonth::report::html {
namespace {

constexpr const char* kStyle = R"css(
:root { --ink: #1f2933; --muted: #66727f; --line: #dfe4e8; --accent: #2f5d8a; --wash: #f6f8f9; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: var(--ink); font: 15px/1.55 "Helvetica Neue", Helvetica, Arial, sans-serif; }
main { max-width: 1044px; margin: 0 auto; padding: 44px 32px 72px; }
header { border-bottom: 2px solid var(--ink); padding-bottom: 14px; }
h1 { font-size: 29px; line-height: 1.2; margin: 0 0 6px; font-weight: 600; letter-spacing: -0.01em; }
h2 { font-size: 20px; margin: 46px 0 8px; font-weight: 600; }
h3 { font-size: 15px; margin: 26px 0 6px; font-weight: 600; }
p { margin: 6px 0 12px; max-width: 46em; }
.muted, figcaption, .card span { color: var(--muted); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(224px, 1fr)); gap: 14px; margin: 18px 0 8px; }
.card { background: var(--wash); border-top: 3px solid var(--accent); padding: 13px 16px 12px; }
.card b { display: block; font-size: 22px; line-height: 1.25; font-weight: 600; margin: 3px 0; font-variant-numeric: tabular-nums; }
.card span { display: block; font-size: 13px; line-height: 1.4; overflow-wrap: anywhere; }
.answer h2 { font-size: 17px; margin: 20px 0 4px; border-top: 1px solid var(--line); padding-top: 10px; }
.answer h2:first-child { border-top: 0; margin-top: 12px; padding-top: 0; }
.answer .big { font-size: 38px; line-height: 1.15; font-weight: 600; letter-spacing: -0.015em; font-variant-numeric: tabular-nums; margin: 2px 0 0; }
.answer .big small { font-size: 17px; font-weight: 400; letter-spacing: 0; }
.answer p { margin: 4px 0; max-width: none; }
.answer ol, .answer ul { margin: 0; padding-left: 20px; } .answer li { margin: 2px 0; }
.answer pre { margin: 4px 0; padding: 7px 12px; }
.kind { white-space: nowrap; margin-right: 12px; }
.caution { border-left: 3px solid #c0563f; padding: 2px 0 2px 12px; margin: 14px 0 0; font-size: 14px; }
.side { table-layout: fixed; }
.side th:nth-child(1) { width: 12%; } .side th:nth-child(2) { width: 20%; } .side th:nth-child(4) { width: 17%; } .side th:nth-child(5) { width: 14%; }
.side td:nth-child(1) { white-space: normal; font-weight: 600; }
.side td { overflow-wrap: anywhere; }
.side .n { white-space: normal; } .side b { white-space: nowrap; }
figure { margin: 16px 0 10px; }
.sheets { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: 18px; align-items: start; }
.sheets img { display: block; width: 100%; height: auto; image-rendering: pixelated; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: 13.5px; margin-top: 4px; max-width: 62em; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 10px 0 6px; font-size: 13.5px; line-height: 1.4; }
th { text-align: left; font-weight: 600; color: var(--muted); border-bottom: 1px solid var(--ink); padding: 5px 14px 5px 0; vertical-align: bottom; }
td { border-bottom: 1px solid var(--line); padding: 5px 14px 5px 0; vertical-align: top; }
td:first-child { white-space: nowrap; }
.group { table-layout: fixed; }
.group td:first-child { white-space: normal; }
.group th:nth-child(1) { width: 35%; } .group th:nth-child(2) { width: 26%; } .group th:nth-child(3) { width: 11%; }
th.n, td.n { text-align: right; font-variant-numeric: tabular-nums; } td.n { white-space: nowrap; }
.tag { display: inline-block; font-style: normal; font-size: 11.5px; line-height: 1.5; padding: 0 7px; border-radius: 9px; background: #e7edf2; color: #36536e; white-space: nowrap; }
.tag.assumed { background: #f7e4df; color: #8f3a26; }
.tag.measured { background: #e2efe6; color: #35663f; }
details { margin: 8px 0; }
summary { cursor: pointer; color: var(--accent); }
pre { background: var(--wash); padding: 12px 16px; overflow-x: auto; font: 12.5px/1.5 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
footer { margin-top: 48px; border-top: 1px solid var(--line); padding-top: 10px; font-size: 13px; color: var(--muted); }
@media (max-width: 720px) { .pair { grid-template-columns: 1fr; } main { padding: 24px 16px; } }
@media print { main { padding: 0; } h2 { break-after: avoid; } figure, .card, tr { break-inside: avoid; } }
)css";

std::string row(const char* cell, const std::vector<std::string>& texts, std::size_t numbers, std::size_t numbers_end) {
  std::string out = "<tr>";
  for (std::size_t i = 0; i < texts.size(); ++i)
    out +=
        fmt::format("<{0}{1}>{2}</{0}>", cell, i >= numbers && i < numbers_end ? " class=\"n\"" : "", escape(texts[i]));
  return out + "</tr>\n";
}

}  // namespace

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else
      out.push_back(c);
  }
  return out;
}

std::string dashes(std::string text) {
  const auto replace_all = [&text](const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  };
  replace_all(" % .. ", " .. ");  // "33 % .. 48 %" has one unit
  replace_all(" .. ", " – ");
  replace_all(" x ", " × ");
  return text;
}

std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  std::size_t numbers, std::size_t numbers_end) {
  std::string out =
      "<div class=\"scroll\"><table>\n<thead>" + row("th", head, numbers, numbers_end) + "</thead>\n<tbody>\n";
  for (const auto& cells : rows) out += row("td", cells, numbers, numbers_end);
  return out + "</tbody></table></div>\n";
}

std::string figure(const std::string& svg, const std::string& caption) {
  if (svg.empty()) return "";
  return fmt::format("<figure>{}<figcaption>{}</figcaption></figure>\n", svg, escape(caption));
}

std::string card(const std::string& label, const std::string& value, const std::string& note, const std::string& tag) {
  return fmt::format("<div class=\"card\"><span>{}{}</span><b>{}</b><span>{}</span></div>\n", escape(label),
                     tag.empty() ? "" : "&ensp;" + tag, escape(value), escape(note));
}

std::string tag(budget::Tag tag) { return fmt::format("<i class=\"tag {0}\">{0}</i>", name(tag)); }

std::string page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n"
      "</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      escape(title), kStyle, body);
}

}  // namespace gpumonth::report::html
