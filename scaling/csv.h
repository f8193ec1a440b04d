// Comma-separated values as RFC 4180 has them: quoted fields may hold separators, quotes ("") and line ends.
// And as spreadsheets and numpy write them: other separators, other line ends, UTF-16.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace gpumonth::scaling {

/// The rows of a text, one after the other. Empty lines, and lines that start with '#', are skipped; blanks
/// around an unquoted field are not part of it.
class CsvReader {
 public:
  /// `text` and `name` must live longer than the reader. The separator ' ' stands for any number of blanks
  /// and tabs.
  CsvReader(std::string_view text, const std::string& name, char separator, std::size_t first_line = 1)
      : text_(text), name_(name), separator_(separator), line_(first_line),
        ends_(separator == ' ' ? " \t\n" : std::string{separator, '\n'}) {}

  /// False at the end of the text. `fields` are valid until the next row, `line` is that of the file on which
  /// the row starts (1 is the first). Throws UserError with name and line where a quoted field does not end.
  bool next(std::vector<std::string_view>& fields, std::size_t& line);

  std::size_t offset() const { return at_; }  ///< of the byte behind the last row
  std::size_t line() const { return line_; }  ///< there

 private:
  void skip_lines_without_data();
  std::string_view blank() const;
  std::string_view field();
  std::string_view quoted(std::size_t start);

  std::string_view text_;
  const std::string& name_;
  char separator_;
  std::size_t at_ = 0, line_;
  std::string ends_;                   // of a field
  std::deque<std::string> unescaped_;  // of this row; a deque keeps their addresses
};

/// A file's bytes as UTF-8 text whose lines end in LF: a UTF-8 mark goes, UTF-16 with its mark is converted,
/// CR and CR LF are line ends. Throws UserError naming what it is instead: a workbook, an HDF5 file,
/// compressed, UTF-16 without a mark.
std::string plain_text(std::string bytes, const std::string& name);

/// `text` as one field: quoted where it has to be.
std::string csv_field(const std::string& text);

}  // namespace gpumonth::scaling
