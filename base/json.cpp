#include "base/json.h"

#include <cmath>
#include <stdexcept>

#include "base/clean_text.h"

namespace gpumonth {
namespace {

void check(const Json& json, const std::string& where) {
  if (json.is_null() || (json.is_number_float() && !std::isfinite(json.get<double>()))) {
    throw std::logic_error("JSON output: " + (where.empty() ? "the root" : where) + " is null, nan or inf");
  }
  if (json.is_object()) {
    for (const auto& [key, value] : json.items()) check(value, where + "/" + key);
  } else if (json.is_array()) {
    for (std::size_t i = 0; i < json.size(); ++i) check(json[i], where + "/" + std::to_string(i));
  }
}

}  // namespace

void set_if_finite(Json& object, const std::string& key, double value, Json& notes, const std::string& why) {
  if (std::isfinite(value)) {
    object[key] = value;
  } else {
    notes.push_back(key + ": " + why);
  }
}

std::string to_text(const Json& json) {
  check(json, "");
  return clean_text(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

}  // namespace gpumonth
