// Reads TOML files and --set overrides into a declared table, `from` files first.
#include "base/config.h"

#include <fstream>
#include <map>
#include <sstream>

#include "base/config_internal.h"
#include "base/error.h"
#include "base/shipped.h"

namespace gpumonth::config {
namespace {

namespace fs = std::filesystem;

/// The TOML file or text that is being read.
struct Source {
  std::string name;    ///< in messages
  fs::path directory;  ///< of relative `from` paths
};

std::string at(const Source& source, const toml::node& node) {
  const auto line = node.source().begin.line;
  return line == 0 ? source.name : fmt::format("{}:{}", source.name, line);
}

toml::table parse(const std::string& text, const std::string& name) {
  try {
    return toml::parse(text, name);
  } catch (const toml::parse_error& error) {
    user_error("{}:{}: not valid TOML: {}", name, error.source().begin.line, error.description());
  }
}

std::string read_file(const fs::path& file, const std::string& asked_by) {
  std::error_code ignored;
  const std::string prefix = asked_by.empty() ? "" : asked_by + ": ";
  if (!fs::exists(file, ignored)) user_error("{}{}: no such file", prefix, file.string());
  if (fs::is_directory(file, ignored)) user_error("{}{}: is a folder, not a TOML file", prefix, file.string());
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (in.bad() || !in.is_open()) user_error("{}{}: cannot be read", prefix, file.string());
  return text.str();
}

const Table* find_table(const Table& table, const std::string& key) {
  for (const auto& [name, subtable] : table.tables()) {
    if (name == key) return &subtable;
  }
  return nullptr;
}

const Table::Entry* find_field(const Table& table, const std::string& key) {
  for (const auto& entry : table.fields()) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

/// "a.b=v" of the command line.
struct Override {
  explicit Override(const std::string& argument) : where("--set " + argument) {
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
  const toml::node& value() const { return *values.get("v"); }

  std::string where, table_path, key, raw;
  toml::table values;
};

class Loader {
 public:
  explicit Loader(Table& root) : root_(root) {}

  /// `from` overrides take the place of the file's own `from`, so that keys beside that still win.
  void run(const std::string& text, const Source& source, const std::vector<std::string>& arguments) {
    std::vector<Override> overrides(arguments.begin(), arguments.end());
    for (const auto& o : overrides) {
      if (o.key != "from") continue;
      named_table(o);
      from_overrides_[o.table_path] = &o;
    }
    const toml::table file = parse(text, source.name);
    apply(file, root_, "", source, true);
    for (const auto& o : overrides) {
      if (o.key != "from") apply_override(o);
    }
  }

  std::vector<std::string> open_files;  ///< canonical paths of the `from` chain, for circles

 private:
  void apply(const toml::table& values, const Table& table, const std::string& path, const Source& source,
             bool outermost) {
    apply_from(values, table, path, source, outermost);
    for (const auto& [toml_key, node] : values) {
      const std::string key(toml_key.str());
      if (key == "from" && node.is_string()) continue;
      if (const Table* subtable = find_table(table, key)) {
        if (!node.is_table()) {
          user_error("{}: '{}' is a table: write [{}] and its keys below", at(source, node), join(path, key),
                     join(path, key));
        }
        apply(*node.as_table(), *subtable, join(path, key), source, outermost);
      } else if (const Table::Entry* entry = find_field(table, key)) {
        assign(*entry, node, at(source, node), join(path, key));
      } else {
        unknown_key(root_, table, path, key, node.is_table(), at(source, node));
      }
    }
    if (!outermost) return;
    for (const auto& [key, subtable] : table.tables()) {  // --set a.from=... where the file has no [a]
      if (!values.contains(key)) apply(toml::table{}, subtable, join(path, key), source, true);
    }
  }

  void apply_from(const toml::table& values, const Table& table, const std::string& path, const Source& source,
                  bool outermost) {
    const toml::node* node = values.get("from");
    if (node != nullptr && !node->is_string()) node = nullptr;  // a field's own business
    fs::path directory = source.directory;
    std::string where = node == nullptr ? "" : at(source, *node);
    if (const auto o = from_overrides_.find(path); outermost && o != from_overrides_.end()) {
      node = &o->second->value();
      where = o->second->where;
      directory = ".";
    }
    if (node == nullptr) return;
    const auto name = node->value_exact<std::string>();
    if (!name) user_error("{}: '{}' expects a string, the path of a TOML file", where, join(path, "from"));
    if (!name->empty()) read_from(fs::path(*name), directory, table, path, where);
    if (const Table::Entry* entry = find_field(table, "from")) assign(*entry, *node, where, join(path, "from"));
  }

  void read_from(const fs::path& name, const fs::path& directory, const Table& table, const std::string& path,
                 const std::string& where) {
    const fs::path file = (name.is_absolute() ? name : directory / name).lexically_normal();
    const std::string text = read_file(file, where);
    const std::string identity = fs::weakly_canonical(file).string() + " [" + path + "]";
    for (const auto& open : open_files) {
      if (open == identity) user_error("{}: 'from' goes in a circle: {} is being read already", where, file.string());
    }
    open_files.push_back(identity);
    const Source source{file.string(), file.parent_path()};
    const toml::table whole = parse(text, source.name);
    const toml::table* part = path.empty() ? &whole : whole.at_path(path).as_table();
    if (part == nullptr) user_error("{}: {} has no table [{}]", where, file.string(), path);
    apply(*part, table, path, source, false);
    open_files.pop_back();
  }

  /// The table that an override names; UserError where there is none.
  const Table& named_table(const Override& o) const {
    const Table* table = &root_;
    std::string path;
    std::istringstream parts(o.table_path);
    for (std::string part; std::getline(parts, part, '.');) {
      const Table* next = find_table(*table, part);
      if (next == nullptr) unknown_key(root_, *table, path, part, true, o.where);
      table = next;
      path = join(path, part);
    }
    return *table;
  }

  void apply_override(const Override& o) {
    const Table& table = named_table(o);
    const std::string path = join(o.table_path, o.key);
    if (find_table(table, o.key) != nullptr) {
      user_error("{}: '{}' is a table: name a key in it, {}.key=value", o.where, path, path);
    }
    const Table::Entry* entry = find_field(table, o.key);
    if (entry == nullptr) unknown_key(root_, table, o.table_path, o.key, false, o.where);
    assign(*entry, o.value(), o.where, path, &o.raw);
  }

  Table& root_;
  std::map<std::string, const Override*> from_overrides_;
};

}  // namespace

Table& Table::table(const std::string& key) {
  for (auto& [name, subtable] : tables_) {
    if (name == key) return subtable;
  }
  return tables_.emplace_back(key, Table{}).second;
}

void load(Table& root, const fs::path& named, const std::vector<std::string>& overrides) {
  const fs::path file = shipped_file(named);
  const std::string text = read_file(file, "");
  Loader loader(root);
  loader.open_files.push_back(fs::weakly_canonical(file).string() + " []");
  loader.run(text, {file.string(), file.parent_path()}, overrides);
}

void load_text(Table& root, const std::string& text, const std::string& name, const std::vector<std::string>& overrides,
               const fs::path& directory) {
  Loader(root).run(text, {name, directory}, overrides);
}

}  // namespace gpumonth::config
