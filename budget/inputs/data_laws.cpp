#include "budget/inputs/data_laws.h"

#include <cmath>
#include <deque>

#include "base/config.h"
#include "base/error.h"
#include "base/json.h"
#include "base/text_file.h"

namespace gpumonth::budget {
namespace {

struct Power {
  const char* key;
  double DataLaw::*value;
  double max;
  const char* help;
};

constexpr Power kPowers[] = {
    {"n_scale", &DataLaw::n_scale, 1e30, "N = n_scale x C^n_exponent: parameters of the optimal model"},
    {"n_exponent", &DataLaw::n_exponent, 2, "exponent of N"},
    {"d_scale", &DataLaw::d_scale, 1e30, "D = d_scale x C^d_exponent: tokens that it is trained on"},
    {"d_exponent", &DataLaw::d_exponent, 2, "exponent of D"},
};

void declare_law(config::Table& table, DataLaw& law) {
  table.field("id", law.id, {.help = "its name in results"});
  table.field("name", law.name, {.help = "its name for people"});
  table.field("tag", law.tag, {.one_of = {"published", "fitted", "assumed"}, .help = "where the law comes from"});
  table.field("source", law.source, {.help = "who says so"});
  for (const auto& power : kPowers)
    table.field(power.key, law.*power.value, {.min = 1e-30, .max = power.max, .help = power.help});
  table.field("n_unit", law.n_unit, {.unit = "parameters", .min = 1, .max = 1e12, .help = "in the unit of N"});
  table.field("d_unit", law.d_unit, {.unit = "tokens", .min = 1, .max = 1e15, .help = "in the unit of D"});
  table.field("c_unit", law.c_unit, {.unit = "FLOP", .min = 1, .max = 1e24, .help = "in the unit of C"});
}

void check_law(const DataLaw& law, const std::string& file) {
  for (const auto& power : kPowers)
    if (!std::isfinite(law.*power.value))
      user_error("{}: the law '{}' has no {} ({}): add it as its publication prints it", file, law.id, power.key,
                 power.help);
  if (law.tag.empty() || law.source.empty())
    user_error("{}: the law '{}' has no {}: add tag = \"published\" and source = \"who says so\"", file, law.id,
               law.tag.empty() ? "tag" : "source");
}

/// The laws[] of `gpumonth fit --loss --json` as the [[laws]] of a file: strings and numbers are written alike in both.
std::string laws_as_toml(const std::string& text, const std::string& file) {
  const auto json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("laws") || !json["laws"].is_array())
    user_error("{}: is JSON without laws[]: give what gpumonth fit --loss --json writes", file);
  std::string toml;
  for (const auto& law : json["laws"]) {
    if (!law.is_object())
      user_error("{}: laws[] holds something that is no object: give what gpumonth fit --loss --json writes", file);
    toml += "[[laws]]\n";
    for (const auto& [key, value] : law.items()) {
      if (!value.is_string() && !value.is_number())
        user_error("{}: laws[].{} is neither a text nor a number: give what gpumonth fit --loss --json writes", file,
                   key);
      toml += Json(key).dump() + " = " + value.dump() + "\n";
    }
  }
  return toml;
}

void load_laws(config::Table& root, const std::filesystem::path& file) {
  const std::string text = bytes_of_file(file);
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == text.npos || text[first] != '{') return config::load(root, file);  // no TOML begins so
  config::load_text(root, laws_as_toml(text, file.string()), file.string());
}

}  // namespace

double DataLaw::optimal_flop(double parameters) const {
  return c_unit * std::pow(parameters / n_unit / n_scale, 1 / n_exponent);
}

double DataLaw::optimal_tokens(double parameters) const {
  return d_unit * d_scale * std::pow(parameters / n_unit / n_scale, d_exponent / n_exponent);
}

std::vector<DataLaw> load_data_laws(const std::filesystem::path& file) {
  std::deque<DataLaw> laws;
  config::Table root;
  root.list("laws", laws, declare_law, {.help = "a scaling law of Diffusion Transformers"});
  load_laws(root, file);
  if (laws.empty()) user_error("{}: has no [[laws]]: add at least one", file.string());
  for (auto& law : laws) {
    check_law(law, file.string());
    if (law.name.empty()) law.name = law.id;
  }
  return {laws.begin(), laws.end()};
}

}  // namespace gpumonth::budget
