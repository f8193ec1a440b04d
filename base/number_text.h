// Numbers as people type them, alone and in lists with commas between.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gpumonth {

/// `text` without blanks around it.
std::string_view trimmed(std::string_view text);

/// The decimal number that `text` is, blanks around it and a plus sign aside: "5", "+1.5e3". Nothing where it
/// is anything else: empty, hexadecimal, nan, inf, beyond a double, a number with a unit, commas in it.
std::optional<double> parse_number(std::string_view text);

/// "024", the end of a "1,024" that a list splits; no number is written so.
bool begins_like_thousands(std::string_view item);

/// The parts of "512,1024" without blanks around them, empty ones too. Throws UserError where an item begins
/// like the end of a number with commas between thousands; `option` ("--gpus") stands for the list in the message.
std::vector<std::string_view> split_list(std::string_view list, std::string_view option);

/// What to say of a list such as "16,384" that is read as two numbers and could be one with a comma between
/// thousands; empty for "64,512": two powers of two are a list.
std::string note_on_thousands(std::string_view list, std::string_view option);

}  // namespace gpumonth
