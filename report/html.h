// The few pieces of HTML that the report is made of.
#pragma once

#include <string>
#include <vector>

#include "budget/inputs/number.h"

namespace gpumonth::report::html {

std::string escape(const std::string& text);

/// "3 .. 4" and "2 x 3" of the terminal with the dash and the cross of print.
std::string dashes(std::string text);

/// A table of plain text; `numbers` says from which column on cells are numbers, set flush right.
std::string table(const std::vector<std::string>& head, const std::vector<std::vector<std::string>>& rows,
                  std::size_t numbers = 1, std::size_t numbers_end = static_cast<std::size_t>(-1));

/// An SVG with its caption; nothing where there is no SVG.
std::string figure(const std::string& svg, const std::string& caption);

/// A headline number; `tag` is markup, from tag().
std::string card(const std::string& label, const std::string& value, const std::string& note,
                 const std::string& tag = "");

/// Where a number comes from, as a small label.
std::string tag(budget::Tag tag);

/// The whole page: `body` in a column, styles inline, nothing loaded from anywhere.
std::string page(const std::string& title, const std::string& body);

}  // namespace gpumonth::report::html
