// One TOML value into one variable: type, range, list of choices. One --set into a path and its value.
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "base/config_internal.h"
#include "base/error.h"

namespace gpumonth::config {
namespace {

struct Place {
  const Table::Entry& entry;
  const std::string& where;
  const std::string& path;
  std::string unit() const {
    const std::string& u = entry.description.unit;
    return u.empty() || u == "1" ? "" : fmt::format(" {}", u);
  }
};

std::string type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a float";
    case toml::node_type::boolean: return "a boolean";
    default: return "a date or time";
  }
}

/// "1,024" or "989,4e12" for a number.
bool is_number_with_comma(const Table::Entry& entry, const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  return text && !std::holds_alternative<std::string*>(entry.value) && text->find(',') != std::string::npos &&
         text->find_first_not_of("+-.,0123456789eE") == std::string::npos;
}

[[noreturn]] void wrong_type(const Place& p, const toml::node& node) {
  std::string got = type_name(node);
  if (const auto text = node.value_exact<std::string>()) got += " " + toml_string(*text);
  if (const auto number = node.value_exact<double>()) got += " " + number_text(*number);
  user_error("{}: '{}' expects {}, got {}{}", p.where, p.path, expectation(p.entry), got,
             is_number_with_comma(p.entry, node) ? ": write a decimal point, and nothing between thousands" : "");
}

template <class T>
void check_range(const Place& p, T value) {
  const Field& field = p.entry.description;
  const auto number = static_cast<long double>(value);
  const bool small = number < static_cast<long double>(field.min);
  if (!small && !(number > static_cast<long double>(field.max))) return;
  const std::string meant = likely_meant(static_cast<double>(value), field);
  user_error("{}: '{}' = {}{}{} too {}: at {} {}{}", p.where, p.path, value, p.unit(),
             meant.empty() ? " is" : fmt::format(": {} It is", meant), small ? "small" : "large",
             small ? "least" : "most", limit_text(small ? field.min : field.max), p.unit());
}

template <class Int>
void assign_integer(const Place& p, Int& target, const toml::node& node) {
  const auto value = node.value_exact<std::int64_t>();
  if (!value) wrong_type(p, node);
  check_range(p, *value);
  if (!std::in_range<Int>(*value)) {
    user_error("{}: '{}' = {}{} is out of range: {} .. {}", p.where, p.path, *value, p.unit(),
               std::numeric_limits<Int>::min(), std::numeric_limits<Int>::max());
  }
  target = static_cast<Int>(*value);
}

void set(const Place& p, int& target, const toml::node& node) { assign_integer(p, target, node); }
void set(const Place& p, std::int64_t& target, const toml::node& node) { assign_integer(p, target, node); }

/// TOML integers end at 2^63-1; a larger one is written as a string of digits.
void set(const Place& p, std::uint64_t& target, const toml::node& node) {
  const auto text = node.value_exact<std::string>();
  if (!text) return assign_integer(p, target, node);
  std::uint64_t value = 0;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, value);
  if (error == std::errc::result_out_of_range) {
    user_error("{}: '{}' = {} is out of range: 0 .. {}", p.where, p.path, *text,
               std::numeric_limits<std::uint64_t>::max());
  }
  if (error != std::errc() || rest != end || text->empty()) wrong_type(p, node);
  check_range(p, value);
  target = value;
}

void set(const Place& p, double& target, const toml::node& node) {
  double value = 0;
  if (const auto integer = node.value_exact<std::int64_t>()) {
    value = static_cast<double>(*integer);
  } else if (const auto number = node.value_exact<double>()) {
    value = *number;
  } else {
    wrong_type(p, node);
  }
  if (!std::isfinite(value)) user_error("{}: '{}' = {} is not a finite number", p.where, p.path, value);
  check_range(p, value);
  target = value;
}

void set(const Place& p, bool& target, const toml::node& node) {
  const auto value = node.value_exact<bool>();
  if (!value) wrong_type(p, node);
  target = *value;
}

/// The choice that `word` means: by what others call it, else by its letters; empty where none is near.
std::string meant(const std::string& word, const Field& field) {
  std::string lower = word;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const auto& [other, choice] : field.also_called)
    if (other == lower) return choice;
  return nearest(lower, field.one_of);
}

void set(const Place& p, std::string& target, const toml::node& node) {
  auto value = node.value_exact<std::string>();
  const auto& same_as = p.entry.description.same_as;
  if (const auto flag = node.value_exact<bool>(); flag && !same_as.empty()) value = *flag ? "true" : "false";
  if (!value) wrong_type(p, node);
  for (const auto& [word, choice] : same_as)
    if (word == *value) {
      target = choice;
      return;
    }
  const auto& allowed = p.entry.description.one_of;
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), *value) == allowed.end()) {
    const std::string near = meant(*value, p.entry.description);
    user_error("{}: '{}' = {} is not one of: {}{}", p.where, p.path, toml_string(*value), fmt::join(allowed, ", "),
               near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near));
  }
  target = *value;
}

}  // namespace

Override::Override(const std::string& argument) : where("--set " + argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos || equals == 0) {
    user_error("{}: write --set table.key=value, e.g. --set model.depth=2", where);
  }
  const std::string path = argument.substr(0, equals);
  const auto dot = path.rfind('.');
  table_path = dot == std::string::npos ? "" : path.substr(0, dot);
  key = dot == std::string::npos ? path : path.substr(dot + 1);
  raw = argument.substr(equals + 1);
  try {
    values = toml::parse("v = " + raw + "\n");
  } catch (const toml::parse_error&) {
    values.clear();
  }
  if (values.size() == 1 && values.contains("v")) return;
  try {  // a bare word is a string
    values = toml::parse("v = " + toml_string(raw) + "\n");
  } catch (const toml::parse_error& error) {
    user_error("--set {}: the value is not valid text: {}", path, error.description());
  }
}

void assign(const Table::Entry& entry, const toml::node& node, const std::string& where, const std::string& path,
            const std::string* raw) {
  const Place place{entry, where, path};
  const bool wants_string = std::holds_alternative<std::string*>(entry.value);
  if (raw != nullptr && wants_string && !node.is_string()) {
    return set(place, *std::get<std::string*>(entry.value), toml::value<std::string>(*raw));
  }
  std::visit([&](auto* target) { set(place, *target, node); }, entry.value);
}

}  // namespace gpumonth::config
