// What a declared table says about itself: TOML text, help, messages about keys it does not have.
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "base/config_internal.h"
#include "base/error.h"

namespace gpumonth::config {
namespace {

std::string value_text(const Value& value) {
  struct Visitor {
    std::string operator()(const std::string* v) const { return toml_string(*v); }
    std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
    std::string operator()(const double* v) const { return number_text(*v); }
    std::string operator()(const int* v) const { return std::to_string(*v); }
    std::string operator()(const std::int64_t* v) const { return std::to_string(*v); }
    std::string operator()(const std::uint64_t* v) const {
      const bool fits = *v <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      return fits ? std::to_string(*v) : fmt::format("\"{}\"", *v);
    }
  };
  return std::visit(Visitor{}, value);
}

std::string range_text(const Field& field) {
  if (!field.one_of.empty()) return fmt::format("{}", fmt::join(field.one_of, " | "));
  const bool low = std::isfinite(field.min), high = std::isfinite(field.max);
  if (low && high) return fmt::format("{} .. {}", limit_text(field.min), limit_text(field.max));
  if (low) return fmt::format(">= {}", limit_text(field.min));
  if (high) return fmt::format("<= {}", limit_text(field.max));
  return "";
}

/// "s, >= 0: AdamW step size": unit, range and help, as far as there are any.
std::string comment_text(const Table::Entry& entry) {
  const Field& field = entry.description;
  std::string text = field.unit == "1" ? "" : field.unit;
  const std::string range = range_text(field);
  if (!range.empty()) text += (text.empty() ? "" : ", ") + range;
  if (!field.help.empty()) text += (text.empty() ? "" : ": ") + field.help;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// A value that load_text could not read back, or must not: `from` would be read again over what it led to.
bool only_a_comment(const Table::Entry& entry) {
  const auto* number = std::get_if<double*>(&entry.value);
  return entry.key == "from" || (number != nullptr && !std::isfinite(**number));
}

void write_fields(const Table& table, bool with_help, std::string& out) {
  for (const auto& entry : table.fields()) {
    std::string line = fmt::format("{} = {}", entry.key, value_text(entry.value));
    if (only_a_comment(entry)) line.insert(0, "# ");
    const std::string comment = with_help ? comment_text(entry) : "";
    out += comment.empty() ? line + "\n" : fmt::format("{:<38} # {}\n", line, comment);
  }
}

void write(const Table& table, const std::string& path, bool with_help, std::string& out) {
  if (!table.fields().empty() && !path.empty()) out += fmt::format("{}[{}]\n", out.empty() ? "" : "\n", path);
  write_fields(table, with_help, out);
  for (const auto& [key, subtable] : table.tables()) write(subtable, join(path, key), with_help, out);
  for (const auto& list : table.lists()) {
    const auto write_entry = [&](const Table& entry) {
      const std::string name = join(path, list.key);
      out += fmt::format("{}[[{}]]{}\n", out.empty() ? "" : "\n", name,
                         with_help && !list.description.help.empty() ? " # " + list.description.help : "");
      write_fields(entry, with_help, out);
      for (const auto& [key, subtable] : entry.tables()) write(subtable, join(name, key), with_help, out);
    };
    for (const auto& entry : list.entries) write_entry(entry);
    if (with_help && list.entries.empty()) write_entry(*list.example);
  }
}

void collect_values(const Table& table, const std::string& path, std::map<std::string, std::string>& values) {
  for (const auto& entry : table.fields()) values[join(path, entry.key)] = value_text(entry.value);
  for (const auto& [key, subtable] : table.tables()) collect_values(subtable, join(path, key), values);
  for (const auto& list : table.lists())
    for (const auto& entry : list.entries)
      collect_values(entry, join(join(path, list.key), id_of(list, entry)), values);
}

void collect(const Table& table, const std::string& path, std::vector<std::string>& keys) {
  for (const auto& entry : table.fields()) keys.push_back(join(path, entry.key));
  for (const auto& [key, subtable] : table.tables()) collect(subtable, join(path, key), keys);
  for (const auto& list : table.lists()) collect(*list.example, join(path, list.key), keys);
}

std::size_t edit_distance(const std::string& a, const std::string& b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
      if (swapped) d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

/// The declared path that the user most likely meant by `key` in the table at `table_path`; empty if none is near.
std::string suggestion(const Table& root, const Table& table, const std::string& table_path, const std::string& key,
                       bool is_table) {
  std::vector<std::string> siblings;
  for (const auto& [name, subtable] : table.tables()) siblings.push_back(name);
  for (const auto& list : table.lists()) siblings.push_back(list.key);
  if (is_table) {
    const std::string near = nearest(key, siblings);
    if (!near.empty()) return join(table_path, near);
  }
  for (const auto& entry : table.fields()) siblings.push_back(entry.key);
  const std::string near = nearest(key, siblings);
  if (!near.empty()) return join(table_path, near);
  std::vector<std::string> all;
  collect(root, "", all);
  for (const auto& candidate : all) {  // the right key in the wrong table
    if (candidate.substr(candidate.rfind('.') + 1) == key) return candidate;
  }
  return nearest(join(table_path, key), all);
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    // At least as many edits as their lengths differ by: a key of some kilobytes is not compared letter by letter.
    const std::size_t longer = std::max(word.size(), candidate.size()),
                      shorter = std::min(word.size(), candidate.size());
    if (longer - shorter >= best_distance) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < longer) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string toml_string(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      default:
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
          out += fmt::format("\\u{:04X}", byte);
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

namespace {

/// "989.4e12", "0.48", "80": exponents in threes, as prefixes of units go.
std::string engineering(double value) {
  if (!(std::abs(value) >= 1e6)) return fmt::format("{:.6g}", value);
  const int exponent = static_cast<int>(std::floor(std::log10(std::abs(value)) / 3 + 1e-9)) * 3;
  return fmt::format("{:.6g}e{}", value / std::pow(10.0, exponent), exponent);
}

}  // namespace

std::string limit_text(double value) {
  return std::abs(value) < 1e9 ? fmt::format("{}", value) : fmt::format("{:g}", value);
}

std::string likely_meant(double value, const Field& field) {
  for (const double slip : field.slips)
    if (const double meant = value * slip; field.min <= meant && meant <= field.max)
      return fmt::format("did you mean {}?", engineering(meant));
  return "";
}

std::string expectation(const Table::Entry& entry) {
  struct Visitor {
    std::string operator()(const std::string*) const { return "a string"; }
    std::string operator()(const bool*) const { return "true or false"; }
    std::string operator()(const double*) const { return "a number"; }
    std::string operator()(const int*) const { return "an integer"; }
    std::string operator()(const std::int64_t*) const { return "an integer"; }
    std::string operator()(const std::uint64_t*) const { return "an integer >= 0"; }
  };
  const std::string& unit = entry.description.unit;
  const std::string what = std::visit(Visitor{}, entry.value);
  return unit.empty() || unit == "1" ? what : fmt::format("{} ({})", what, unit);
}

std::string id_of(const Table::List& list, const Table& entry) {
  for (const auto& field : entry.fields())
    if (field.key == list.description.id) return *std::get<std::string*>(field.value);
  throw std::logic_error("an entry of [[" + list.key + "]] declares no " + list.description.id);
}

std::string key_names(const Table& table) {
  std::vector<std::string> names;
  for (const auto& field : table.fields()) names.push_back(field.key);
  for (const auto& [name, subtable] : table.tables()) names.push_back(name);
  return fmt::format("{}", fmt::join(names, ", "));
}

void unknown_key(const Table& root, const Table& table, const std::string& table_path, const std::string& key,
                 bool is_table, const std::string& where) {
  for (const auto& [moved, instead] : table.moved_keys())
    if (moved == key || (moved.starts_with('*') && key.ends_with(moved.substr(1))))
      user_error("{}: unknown key '{}': write {} instead", where, join(table_path, key), instead);
  const std::string near = suggestion(root, table, table_path, key, is_table);
  std::string advice = near.empty() ? "" : fmt::format("did you mean '{}'?", near);
  if (near.empty()) {
    std::vector<std::string> known;
    for (const auto& [name, subtable] : table.tables()) known.push_back(fmt::format("[{}]", join(table_path, name)));
    for (const auto& list : table.lists()) known.push_back(fmt::format("[[{}]]", join(table_path, list.key)));
    for (const auto& entry : table.fields()) known.push_back(entry.key);
    advice = fmt::format("known: {}", fmt::join(known, ", "));
  }
  user_error("{}: unknown {} '{}' ({})", where, is_table ? "table" : "key", join(table_path, key), advice);
}

std::map<std::string, std::string> values(const Table& root) {
  std::map<std::string, std::string> all;
  collect_values(root, "", all);
  return all;
}

std::string to_toml(const Table& root, bool with_help) {
  std::string out;
  write(root, "", with_help, out);
  return out;
}

std::string help_text(const Table& root) { return to_toml(root, true); }

}  // namespace gpumonth::config
