// Configuration declared once: that declaration gives the TOML parser, default, unit, range, help and --set.
//
//   struct OptimizerConfig { double learning_rate = 1e-4; };
//   void declare(config::Table& table, OptimizerConfig& c) {
//     table.field("learning_rate", c.learning_rate, {.unit = "1", .min = 0, .help = "AdamW step size after warm-up"});
//   }
//   config::Table root; OptimizerConfig c; declare(root.table("optimizer"), c);
//   config::load(root, "run.toml", {"optimizer.learning_rate=3e-4"});
//
// The value a field holds when it is declared is its default. Errors are UserError, one line:
//   run.toml:7: unknown key 'optimizer.learning_rat' (did you mean 'optimizer.learning_rate'?)
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace gpumonth::config {

struct Field {
  std::string unit = "";                                  ///< "s", "MiB", "samples"; empty for a count or a name
  double min = -std::numeric_limits<double>::infinity();  ///< smallest allowed number
  double max = std::numeric_limits<double>::infinity();   ///< largest allowed number
  std::vector<std::string> one_of = {};                   ///< the allowed strings; empty: any
  /// What others call one of them, lower case: {"gpu", "cuda"}. Named where it is meant, but not accepted.
  std::vector<std::pair<std::string, std::string>> also_called = {};
  /// Words that stand for one of them and are accepted, {"true", "full"}: what the key once held, a boolean included.
  std::vector<std::pair<std::string, std::string>> same_as = {};
  std::string help = "";
  /// Factors to this unit from those that people type instead (1e12: tera; 0.01: per cent), the likeliest first.
  std::vector<double> slips = {};
};

/// What a list of tables says of itself.
struct ListField {
  /// The string field that tells entries apart, of letters, digits, - and _: in every entry, once. --set names an
  /// entry by it: uploads.ID.key=value.
  std::string id = "id";
  std::string help = "";
  std::string formerly = "";  ///< said to who writes a plain table of this name, as it once was: where its keys are now
};

using Value = std::variant<int*, std::int64_t*, std::uint64_t*, double*, bool*, std::string*>;

/// A TOML table of fields, subtables and lists of tables, bound to the variables that it fills.
class Table {
 public:
  /// Declares `key` bound to `*value`; the present value is the default.
  template <class T>
  void field(std::string key, T& value, Field description = {}) {
    fields_.push_back({std::move(key), &value, std::move(description)});
  }
  /// The subtable [key], made on first use. The reference stays valid as long as this table lives.
  Table& table(const std::string& key);

  /// Declares the list [[key]]: every table of it becomes one of `entries`, declared by declare(Table&, T&), so that its
  /// keys have unit, range and help like any other. Where a file has the list, it takes the place of what `entries` held.
  template <class T, class Declare>
  void list(std::string key, std::deque<T>& entries, Declare declare, ListField description = {}) {
    List& list = lists_.emplace_back();
    list.key = std::move(key);
    list.description = std::move(description);
    list.clear = [&entries] { entries.clear(); };
    list.append = [&entries, declare] {
      Table table;
      declare(table, entries.emplace_back());
      return table;
    };
    const auto example = std::make_shared<std::pair<T, Table>>();
    declare(example->second, example->first);
    list.example = {example, &example->second};
  }
  /// A key that this table once had, or all that end like it ("*_share"): who writes it is told to write `instead`.
  void moved(std::string key, std::string instead) { moved_.emplace_back(std::move(key), std::move(instead)); }

  struct Entry {
    std::string key;
    Value value;
    Field description;
  };
  struct List {
    std::string key;
    ListField description;
    std::function<void()> clear;           ///< of the bound variable
    std::function<Table()> append;         ///< an entry to it
    std::shared_ptr<const Table> example;  ///< an entry of its own, for help
    std::deque<Table> entries;             ///< those that were read
  };
  const std::vector<Entry>& fields() const { return fields_; }
  const std::deque<std::pair<std::string, Table>>& tables() const { return tables_; }
  std::deque<std::pair<std::string, Table>>& tables() { return tables_; }
  const std::deque<List>& lists() const { return lists_; }
  std::deque<List>& lists() { return lists_; }
  const std::vector<std::pair<std::string, std::string>>& moved_keys() const { return moved_; }

 private:
  std::vector<Entry> fields_;
  std::deque<std::pair<std::string, Table>> tables_;
  std::deque<List> lists_;
  std::vector<std::pair<std::string, std::string>> moved_;
};

/// Fills `root` from the TOML file, then from overrides "a.b=v", in that order. A string key named `from`
/// inside a table is special: the TOML file it names (relative to the file it stands in) is read first for
/// the table of the same name, so that `[model] from = "../models/dit-s-2.toml"` takes that file's [model]
/// and later keys win. Entries of a list take no `from`. Throws UserError: file missing or not TOML, unknown key or
/// table (nearest one named), wrong type, out of range.
void load(Table& root, const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

/// The same from TOML text; `name` stands for the file in messages, `from` paths are relative to `directory`.
void load_text(Table& root, const std::string& text, const std::string& name,
               const std::vector<std::string>& overrides = {}, const std::filesystem::path& directory = ".");

/// The resolved values as TOML text that `load_text` reads back to the same values, units and help as
/// comments when `with_help` is set. `from` keys, whose files are resolved by now, and values that are not
/// finite are written as comments; an unsigned number above 2^63-1 as a string of digits, which such a field accepts.
std::string to_toml(const Table& root, bool with_help = false);

/// Every key, "table.key", with its present value as TOML text.
std::map<std::string, std::string> values(const Table& root);

/// Every key with its default, unit, range and help, as commented TOML: what `--help-config` prints.
std::string help_text(const Table& root);

/// "did you mean 989.4e12?" for a value out of range, by the first of the slips that leads into it; empty
/// where none does.
std::string likely_meant(double value, const Field& field);

/// The closest of `candidates` to `word` by edit distance; empty where none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace gpumonth::config
