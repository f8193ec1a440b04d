// A scenario's number from its file and from --set to a checked input.
#pragma once

#include <limits>
#include <string>
#include <string_view>

#include "base/config.h"
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

constexpr double kUnset = std::numeric_limits<double>::quiet_NaN();

/// A number as the file writes it.
struct RawNumber {
  const ScenarioKey* key = nullptr;
  std::string name = {};  // as an input: the key, with the entry's id where it is one of a list
  double value = kUnset, low = kUnset, median = kUnset, high = kUnset;
  std::string unit = {}, tag = {}, source = {}, distribution = {};
  std::string override_text = {};  // the --set that changed it, empty for none
};

/// `table`: the number's own. `raw` must stay where it is.
void declare_number(config::Table& table, RawNumber& raw);

/// "4" or "4..10", of the --set in override_text. Throws UserError: no number, out of range.
void apply_short(RawNumber& raw, std::string_view text);

bool is_given(const RawNumber& raw);

/// The file's number, checked; `overrides` may replace a range by a value and the other way round. Throws UserError.
Input resolve(const RawNumber& raw, const std::string& file);

}  // namespace gpumonth::budget
