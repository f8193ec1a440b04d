#include "tests/fuzz/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/json.h"
#include "tests/fuzz/target.h"

namespace gpumonth::fuzz {
namespace {

/// Around the place of a fault.
std::string excerpt(const std::string& text, std::size_t at) {
  const std::size_t begin = at < 60 ? 0 : at - 60;
  std::string part = text.substr(begin, 120);
  std::replace_if(
      part.begin(), part.end(), [](unsigned char c) { return c < 32 || c > 126; }, '?');
  return part;
}

bool has_word(const std::string& text, const std::string& word, std::size_t& at) {
  const auto letter = [&](std::size_t i) {
    return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_');
  };
  for (at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    if (!letter(at + word.size()) && (at == 0 || !letter(at - 1))) return true;
  return false;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

void check_no_null(const nlohmann::ordered_json& json, const std::string& place) {
  if (json.is_null() || (json.is_number_float() && !std::isfinite(json.get<double>())))
    throw Fault("JSON has no number at " + place);
  if (!json.is_structured()) return;
  for (const auto& [key, value] : json.items()) check_no_null(value, place + "/" + key);
}

}  // namespace

void check_message(const std::string& text) {
  if (text.find_first_not_of(" \n") == std::string::npos) throw Fault("an empty message");
}

void check_text(const std::string& text, const std::string& input) {
  constexpr std::array kNoNumbers = {
      "nan",        "inf",        "infinity", "9223372036854775807", "9223372036854775808", "18446744073709551615",
      "2147483648", "-2147483648"};
  const std::string given = lower(input);
  for (const char* word : kNoNumbers) {
    std::size_t at = 0;
    if (has_word(text, word, at) && given.find(word) == std::string::npos)
      throw Fault(fmt::format("says '{}': {}", word, excerpt(text, at)));
  }
}

void check_json(const std::string& text, const std::string& input) {
  check_text(text, input);
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded()) throw Fault("no JSON: " + text.substr(0, 80));
  check_no_null(json, "");
}

void check_json(const nlohmann::ordered_json& json, const std::string& input) {
  check_no_null(json, "");
  check_json(gpumonth::to_text(json), input);
}

void check_finite(double value, const char* what) {
  if (!std::isfinite(value)) throw Fault(fmt::format("{} is {}", what, value));
}

}  // namespace gpumonth::fuzz
