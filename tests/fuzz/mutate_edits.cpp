#include <hdf5.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/hdf5.h"
#include "tests/fuzz/edits.h"

namespace gpumonth::fuzz {
namespace {

using Random = std::mt19937;

std::size_t below(Random& random, std::size_t n) { return random() % n; }

template <class Choices>
std::string one_of(Random& random, const Choices& choices) {
  return std::string(choices[below(random, std::size(choices))]);
}

// clang-format off
constexpr std::array kNumbers = {"nan", "inf", "-inf", "0", "-0.0", "1", "2", "3", "8", "-1", "0.5", "1e308", "-1e308", "5e-324",
                                 "1e-300", "1e30", "1e19", "1e15", "1e-9", "4294967296", "2147483647", "2147483648",
                                 "-2147483648", "9223372036854775807", "-9223372036854775808", "4611686018427387904",
                                 "1e9", "100", "255", "256", "1000000"};
constexpr std::array kTexts = {"", "x", "cpu", "cuda", "bf16", "fp32", "mpi", "gpumonth run log", "\x1b[31mred", "two\nlines",
                               "\xff\xfe", "zw\xc3\xb6lf", "<b>", "\"", "%s{}", "[model]\ndepth = 2\n", "NVIDIA H100 80GB HBM3",
                               "a/b", "..", "\xe2\x80\xae"};
constexpr std::array kTypes = {"float32", "float64", "float16", "be-float32", "int8", "int16", "int32", "int64", "be-int64",
                               "uint8", "uint16", "uint32", "uint64", "text", "vlen-text", "compound", "enum", "opaque", "reference"};
// clang-format on
constexpr std::array kLayouts = {"contiguous", "compact", "chunked", "virtual", "external", "short-external"};
constexpr std::array kFilters = {"gzip", "shuffle", "fletcher32", "lzf", "corrupt"};

/// What there is to change in a set of bases.
struct Names {
  std::vector<std::string> datasets, groups, bases;
  std::vector<std::pair<std::string, std::string>> attributes;  ///< object, name
};

Names names_in(const std::vector<Base>& bases) {
  std::set<std::string> datasets, groups{"/"};
  std::set<std::pair<std::string, std::string>> attributes;
  Names names;
  for (const auto& base : bases) {
    names.bases.push_back(base.name);
    hdf5::native_type<float>();
    const hdf5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_fapl_core(access.get(), 1 << 16, false);
    std::string image = base.image;
    H5Pset_file_image(access.get(), image.data(), image.size());
    const hdf5::Handle file(H5Fopen("names.h5", H5F_ACC_RDONLY, access.get()), H5Fclose);
    struct Found {
      std::set<std::string>*datasets, *groups;
      std::set<std::pair<std::string, std::string>>* attributes;
    } found{&datasets, &groups, &attributes};
    H5Ovisit(
        file.get(), H5_INDEX_NAME, H5_ITER_INC,
        [](hid_t object, const char* name, const H5O_info_t* info, void* data) -> herr_t {
          auto& f = *static_cast<Found*>(data);
          const std::string path = name == std::string(".") ? "/" : "/" + std::string(name);
          (info->type == H5O_TYPE_DATASET ? f.datasets : f.groups)->insert(path);
          const hdf5::Handle self(H5Oopen(object, name, H5P_DEFAULT), H5Oclose);
          for (hsize_t i = 0; i < info->num_attrs; ++i) {
            std::array<char, 200> text{};
            H5Aget_name_by_idx(self.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, text.data(), text.size(), H5P_DEFAULT);
            if (text.data() != std::string("unit") && text.data() != std::string("description"))
              f.attributes->emplace(path, text.data());
          }
          return 0;
        },
        &found);
  }
  names.datasets.assign(datasets.begin(), datasets.end());
  names.groups.assign(groups.begin(), groups.end());
  names.attributes.assign(attributes.begin(), attributes.end());
  return names;
}

const Names& names_of(const std::vector<Base>& bases) {
  static std::map<const std::vector<Base>*, Names> known;
  const auto [found, is_new] = known.try_emplace(&bases);
  if (is_new) found->second = names_in(bases);
  return found->second;
}

std::string number(Random& random) {
  if (below(random, 3) != 0) return one_of(random, kNumbers);
  const int exponent = static_cast<int>(below(random, 24)) - 12;
  return below(random, 2) != 0 ? std::to_string(below(random, 1000))
                               : fmt::format("{}e{}", below(random, 100), exponent);
}

std::string shape(Random& random) {
  std::string text;
  const auto rank = 1 + below(random, 5);
  for (std::size_t i = 0; i < rank; ++i)
    text += (i > 0 ? "," : "") + (below(random, 8) == 0 ? number(random) : std::to_string(below(random, 13)));
  return text;
}

Words random_dataset(const std::string& name, Random& random) {
  Words edit = {"dataset", name};
  const auto wanted = 1 + below(random, 15);
  if (wanted & 1) edit.push_back("layout=" + one_of(random, kLayouts));
  if (wanted & 2) edit.push_back("type=" + one_of(random, kTypes));
  if ((wanted & 4) && below(random, 2) == 0) edit.push_back("filter=" + one_of(random, kFilters));
  if ((wanted & 8) && below(random, 2) == 0) edit.push_back("shape=" + shape(random));
  if (below(random, 6) == 0) edit.push_back("written=no");
  return edit;
}

Words random_attribute(const Names& names, Random& random) {
  auto [object, name] = names.attributes.empty() ? std::pair<std::string, std::string>{"/", "x"}
                                                 : names.attributes[below(random, names.attributes.size())];
  if (below(random, 20) == 0) name = one_of(random, kTexts);
  if (below(random, 8) == 0) return {"no-attribute", object, name};
  Words edit = {"attribute", object, name};
  const auto kind = below(random, 16);
  if (kind < 9) {
    edit.insert(edit.end(), {"number", number(random)});
  } else if (kind < 13) {
    edit.insert(edit.end(), {"text", one_of(random, kTexts)});
  } else {
    edit.push_back(kind == 13 ? "fixed-text" : kind == 14 ? "null" : "compound");
    if (kind == 13) edit.push_back(one_of(random, kTexts));
  }
  while (below(random, 6) == 0) edit.push_back(kind < 9 ? number(random) : one_of(random, kTexts));
  return edit;
}

Words random_edit(const Names& names, Random& random) {
  const std::string name = names.datasets[below(random, names.datasets.size())];
  const std::string group = one_of(random, names.groups);
  switch (below(random, 20)) {
    default: return {"set", name, std::to_string(below(random, 16)), number(random)};
    case 5:
    case 6: return {"fill", name, number(random)};
    case 7: return {"rows", name, below(random, 4) == 0 ? number(random) : std::to_string(below(random, 20))};
    case 8:
    case 9:
    case 10: return random_dataset(name, random);
    case 11: return {"remove", below(random, 4) == 0 ? group : name};
    case 12:
    case 13:
    case 14:
    case 15: return random_attribute(names, random);
    case 16: {
      const std::string other = below(random, 3) == 0 ? group : one_of(random, names.datasets);
      if (below(random, 4) == 0) return {"link", name, "external", "gpumonth-no-such-file.h5", other};
      return {"link", below(random, 4) == 0 ? group : name, below(random, 2) == 0 ? "hard" : "soft", other};
    }
    case 17: return {"dataset", (group == "/" ? "" : group) + "/" + one_of(random, kTexts), "shape=" + shape(random)};
    case 18: return {"group", below(random, 2) == 0 ? name : group + "/x"};
    case 19: return {"truncate", std::to_string(below(random, 1 << (1 + below(random, 18))))};
  }
}

}  // namespace

std::string mutate_edits(const std::vector<Base>& bases, const std::string& text, Random& random) {
  const Names& names = names_of(bases);
  auto edits = parse_edits(text);
  const auto at = [&] { return edits.begin() + static_cast<std::ptrdiff_t>(below(random, edits.size())); };
  for (auto times = 1 + below(random, 2); times > 0; --times) {
    const auto how = edits.empty() ? 0 : below(random, 10);
    if (how < 4) {
      edits.push_back(random_edit(names, random));
    } else if (how < 6) {
      edits.erase(at());
    } else if (how < 7) {
      *at() = random_edit(names, random);
    } else if (how < 9) {  // another last word: mostly the value
      auto line = at();
      if (line->size() > 2 && line->back().find('=') == std::string::npos) line->back() = number(random);
    } else if (names.bases.size() > 1) {
      if (!edits.empty() && edits[0][0] == "base") edits.erase(edits.begin());
      edits.insert(edits.begin(), {"base", one_of(random, names.bases)});
    }
  }
  if (edits.size() > 12) edits.resize(12);
  return to_text(edits);
}

}  // namespace gpumonth::fuzz
