// Reads TOML files and --set overrides into a declared table, `from` files first.
#include "base/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <sstream>

#include "base/config_internal.h"
#include "base/error.h"
#include "base/shipped.h"
#include "base/text_file.h"

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
  return read_bytes(file, prefix);
}

Table* find_table(Table& table, const std::string& key) {
  for (auto& [name, subtable] : table.tables()) {
    if (name == key) return &subtable;
  }
  return nullptr;
}

Table::List* find_list(Table& table, const std::string& key) {
  for (auto& list : table.lists()) {
    if (list.key == key) return &list;
  }
  return nullptr;
}

Table* find_entry(Table::List& list, const std::string& id) {
  for (auto& entry : list.entries) {
    if (id_of(list, entry) == id) return &entry;
  }
  return nullptr;
}

bool is_id(const std::string& text) {
  const auto ordinary = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; };
  return !text.empty() && std::all_of(text.begin(), text.end(), ordinary);
}

const Table::Entry* find_field(const Table& table, const std::string& key) {
  for (const auto& entry : table.fields()) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

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
  void apply(const toml::table& values, Table& table, const std::string& path, const Source& source, bool outermost) {
    apply_from(values, table, path, source, outermost);
    for (const auto& [toml_key, node] : values) {
      const std::string key(toml_key.str());
      if (key != "from" || !node.is_string()) apply_key(key, node, table, path, source, outermost);
    }
    if (!outermost) return;
    for (auto& [key, subtable] : table.tables()) {  // --set a.from=... where the file has no [a]
      if (!values.contains(key)) apply(toml::table{}, subtable, join(path, key), source, true);
    }
  }

  void apply_key(const std::string& key, const toml::node& node, Table& table, const std::string& path,
                 const Source& source, bool outermost) {
    if (Table* subtable = find_table(table, key)) {
      if (!node.is_table()) {
        user_error("{}: '{}' is a table: write [{}] and its keys below", at(source, node), join(path, key),
                   join(path, key));
      }
      apply(*node.as_table(), *subtable, join(path, key), source, outermost);
    } else if (Table::List* list = find_list(table, key)) {
      apply_list(node, *list, join(path, key), source);
    } else if (const Table::Entry* entry = find_field(table, key)) {
      assign(*entry, node, at(source, node), join(path, key));
    } else {
      unknown_key(root_, table, path, key, node.is_table(), at(source, node));
    }
  }

  void apply_list(const toml::node& node, Table::List& list, const std::string& path, const Source& source) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr ||
        std::any_of(tables->begin(), tables->end(), [](const auto& element) { return !element.is_table(); })) {
      const std::string& formerly = list.description.formerly;
      user_error("{}: '{}' is a list: write [[{}]] and its keys ({}) below, once for each{}", at(source, node), path,
                 path, key_names(*list.example), formerly.empty() ? "" : "; " + formerly);
    }
    list.clear();
    list.entries.clear();
    for (const toml::node& element : *tables) {
      const toml::table& values = *element.as_table();
      const std::string name = join(path, new_id(values, list, path, at(source, element)));
      Table& entry = list.entries.emplace_back(list.append());
      for (const auto& [key, value] : values) apply_key(std::string(key.str()), value, entry, name, source, false);
    }
  }

  /// What tells this entry apart from those before it.
  static std::string new_id(const toml::table& values, Table::List& list, const std::string& path,
                            const std::string& where) {
    const std::string& key = list.description.id;
    const toml::node* node = values.get(key);
    if (node == nullptr) user_error("{}: an entry of [[{}]] has no '{}': add {} = \"...\"", where, path, key, key);
    const auto id = node->value_exact<std::string>();
    if (!id || !is_id(*id))
      user_error("{}: '{}' of an entry of [[{}]] expects a string of letters, digits, - and _", where, key, path);
    if (find_entry(list, *id) != nullptr) user_error("{}: [[{}]] has an entry '{}' already", where, path, *id);
    return *id;
  }

  void apply_from(const toml::table& values, Table& table, const std::string& path, const Source& source,
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

  void read_from(const fs::path& name, const fs::path& directory, Table& table, const std::string& path,
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
  Table& named_table(const Override& o) {
    Table* table = &root_;
    std::string path;
    std::istringstream parts(o.table_path);
    for (std::string part; std::getline(parts, part, '.');) {
      Table* next = find_table(*table, part);
      if (Table::List* list = find_list(*table, part); next == nullptr && list != nullptr) {
        path = join(path, part);
        const bool names_entry = static_cast<bool>(std::getline(parts, part, '.'));
        next = &named_entry(*list, path, names_entry ? part : o.key, o);
        if (!names_entry)
          user_error("{}: '{}' is an entry of a list: name a key in it, {}.key=value with one of {}", o.where,
                     join(path, o.key), join(path, o.key), key_names(*next));
      }
      if (next == nullptr) unknown_key(root_, *table, path, part, true, o.where);
      table = next;
      path = join(path, part);
    }
    return *table;
  }

  static Table& named_entry(Table::List& list, const std::string& path, const std::string& id, const Override& o) {
    if (o.key == "from") user_error("{}: entries of [[{}]] take no 'from'", o.where, path);
    if (o.key == list.description.id && o.table_path == join(path, id))
      user_error("{}: '{}' names the entry, and stays as the file has it", o.where, join(o.table_path, o.key));
    if (Table* entry = find_entry(list, id)) return *entry;
    std::vector<std::string> known;
    for (const auto& entry : list.entries) known.push_back(id_of(list, entry));
    const std::string near = nearest(id, known), &formerly = list.description.formerly;
    user_error("{}: [[{}]] has no entry '{}' ({}){}", o.where, path, id,
               known.empty()  ? "it is empty"
               : near.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                              : fmt::format("did you mean '{}'?", near),
               formerly.empty() ? "" : "; " + formerly);
  }

  void apply_override(const Override& o) {
    Table& table = named_table(o);
    const std::string path = join(o.table_path, o.key);
    if (find_list(table, o.key) != nullptr) {
      user_error("{}: '{}' is a list: name a key of one of its entries, {}.ID.key=value", o.where, path, path);
    }
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
