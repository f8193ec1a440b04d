// JSON that other programs can rely on: nan, inf and null never appear. What is unknown is left out and named
// in a list of notes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gpumonth {

/// Keys keep the order in which they are set.
using Json = nlohmann::ordered_json;

/// Sets object[key] = value where it is finite. Where it is not, leaves the key out and appends
/// "<key>: <why>" to `notes` (an array).
void set_if_finite(Json& object, const std::string& key, double value, Json& notes, const std::string& why = "unknown");

/// The text, indented by two, with a newline at the end, in valid UTF-8 whatever bytes the strings hold
/// (clean_text.h; C0 controls are escaped, as JSON does). Throws std::logic_error naming the place where a nan,
/// inf or null is left inside: that is a fault of the caller.
std::string to_text(const Json& json);

}  // namespace gpumonth
