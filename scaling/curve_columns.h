// Where a table of throughput names its columns, and how they are called there.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace gpumonth::scaling {

/// Where the columns stand; kNone: the file has no such column.
struct ScalingColumns {
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t ranks = kNone, throughput = kNone, batch = kNone, run = kNone, curve = kNone, unit = kNone, kind = kNone,
              source = kNone;
  std::size_t count = 0;             ///< columns, those without a name at the end left out
  std::string throughput_unit = {};  ///< as the throughput column's own name has it: "tokens/s/GPU"; may be empty
};

/// The columns by their names, of which the last ones may be empty. Upper case, blanks, units in parentheses
/// ("Throughput (img/s)") and "GPUs" for ranks are understood; of several columns of throughput the total of
/// all ranks goes before that of one, and both before steps.
ScalingColumns columns_of(std::span<const std::string_view> names);

struct ScalingHeader {
  ScalingColumns columns;
  char separator = ',';       ///< ' ': any blanks
  std::size_t rows_at = 0;    ///< byte of the text behind the names
  std::size_t rows_line = 1;  ///< the line there
};

/// Finds the line of names: the first that is no comment, or the last comment before it ("#
/// ranks,samples_per_s", as numpy writes). The separator is the one that a line "sep=;" gives, or of , ; tab
/// | and blanks the one with which the line names ranks and throughput. Throws UserError that lists the names
/// where one is missing or stands twice.
ScalingHeader find_header(std::string_view text, const std::string& name);

}  // namespace gpumonth::scaling
