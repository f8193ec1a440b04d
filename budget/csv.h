// Comma-separated values as RFC 4180 has them: quoted fields may hold commas, quotes ("") and line ends.
#pragma once

#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gpumonth::budget {

/// One row: its fields, and the line of the file on which it starts (1 is the first).
using CsvRow = std::function<void(std::span<const std::string_view> fields, std::size_t line)>;

/// Calls `row` for each row of `text`, the header included. Empty lines, and lines that start with '#', are
/// skipped; a UTF-8 mark at the start and CR before LF are ignored; blanks around an unquoted field are not
/// part of it. Throws UserError with `name` and line where a quoted field does not end.
void parse_csv(std::string_view text, const std::string& name, const CsvRow& row);

/// The whole file. Throws UserError where it cannot be read.
std::string read_text(const std::filesystem::path& file);

/// `text` as one field: quoted where it has to be.
std::string csv_field(const std::string& text);

}  // namespace gpumonth::budget
