// Shared by the config sources only: toml++ stays out of base/config.h.
#pragma once

#include <toml++/toml.h>

#include <string>
#include <string_view>

#include "base/config.h"

namespace gpumonth::config {

/// "model.depth" from "model" and "depth".
inline std::string join(const std::string& table_path, const std::string& key) {
  return table_path.empty() ? key : table_path + "." + key;
}

/// "a.b=v" of the command line; a value that is no TOML is a string.
struct Override {
  explicit Override(const std::string& argument);
  const toml::node& value() const { return *values.get("v"); }

  std::string where, table_path, key, raw;
  toml::table values;
};

/// Assigns the TOML value to the field, or throws UserError "<where>: 'path' ...". A string field given a
/// number or a bool takes `raw`, the text the user typed, where that is not null (--set run.name=12).
void assign(const Table::Entry& entry, const toml::node& node, const std::string& where, const std::string& path,
            const std::string* raw = nullptr);

/// Throws UserError for a key that `table` (at `table_path` below `root`) does not have, with the nearest one.
[[noreturn]] void unknown_key(const Table& root, const Table& table, const std::string& table_path,
                              const std::string& key, bool is_table, const std::string& where);

/// What the field that tells the entries of a list apart holds in this one.
std::string id_of(const Table::List& list, const Table& entry);

/// "id, name, video": the keys of a table.
std::string key_names(const Table& table);

/// "a number (s)": what the field expects.
std::string expectation(const Table::Entry& entry);

/// "text" as a TOML basic string, quotes included.
std::string toml_string(const std::string& text);

/// "100", "1e+12": an end of a range.
std::string limit_text(double value);

/// The shortest TOML text that reads back to the same double.
std::string number_text(double value);

}  // namespace gpumonth::config
