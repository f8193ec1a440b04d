// Numbers and tables for people. Machines read --json.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gpumonth::cli {

/// The number with an SI prefix and the unit: "118.6 GMACs", "5.562 T". A whole number below 1000 has no decimals.
std::string si(double value, const std::string& unit, int significant_digits = 4);

/// "1.500 GiB": four significant digits with a binary prefix.
std::string binary_bytes(double bytes);

/// Rows of cells in aligned columns, the first to the left, the others to the right; the first row is the
/// header and gets a rule below it.
std::string table_text(const std::vector<std::vector<std::string>>& rows);

}  // namespace gpumonth::cli
