// Numbers in the cells of a table that a person or a spreadsheet wrote: 1234.5, 1,234.5, 1.234,5, 1 234,5.
// What comma and point mean is the same in the whole file, and is told by the cells that can be read in one
// way only.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gpumonth::scaling {

class TableNumbers {
 public:
  explicit TableNumbers(std::string name) : name_(std::move(name)) {}

  /// Looks at a cell, all of them before the first value(). `is_count`: only whole numbers make sense in this
  /// column. Throws UserError with both lines where the file contradicts itself.
  void see(std::string_view cell, bool is_count, std::size_t line);

  /// The cell's number; nothing where it is none. Throws UserError where it can be read in two ways ("1,024"
  /// without another cell that tells), or is the rest of a number that was cut at a comma ("024"; a count may
  /// have zeros before it).
  std::optional<double> value(std::string_view cell, bool is_count, std::size_t line) const;

 private:
  void tell(char decimal, std::string_view cell, std::size_t line);

  std::string name_;
  char decimal_ = 0;  // '.' or ','; 0: nothing has told yet
  std::string told_by_;
  std::size_t told_on_ = 0;
};

}  // namespace gpumonth::scaling
