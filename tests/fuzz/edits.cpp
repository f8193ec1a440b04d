#include "tests/fuzz/edits.h"

#include <hdf5.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>

#include "base/hdf5.h"
#include "tests/fuzz/scratch.h"

namespace gpumonth::fuzz {
namespace {

using hdf5::Handle;

std::string word_at(const std::string& line, std::size_t& at) {
  std::string word;
  if (line[at] != '"') {
    while (at < line.size() && line[at] != ' ') word += line[at++];
    return word;
  }
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\' || at + 1 == line.size()) {
      word += line[at];
    } else if (line[++at] == 'x' && at + 2 < line.size()) {
      unsigned value = 0;
      std::from_chars(&line[at + 1], &line[at + 3], value, 16);
      word += static_cast<char>(value);
      at += 2;
    } else {
      word += line[at];
    }
  }
  if (at < line.size()) ++at;
  return word;
}

std::string quoted(const std::string& word) {
  const auto plain = [](unsigned char c) { return c > ' ' && c < 127 && c != '"' && c != '\\'; };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "\"";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte >= 127)
      text += fmt::format("\\x{:02x}", byte);
    else
      text += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  }
  return text + "\"";
}

std::int64_t whole(const std::string& word) { return std::strtoll(word.c_str(), nullptr, 10); }

/// Numbers keep all bits of an int64: a double would not.
struct Number {
  explicit Number(const std::string& word) : real(std::strtod(word.c_str(), nullptr)), integer(whole(word)) {
    is_real = word.find_first_of(".eEnNiI") != std::string::npos;
  }
  hid_t type() const { return is_real ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64; }
  const void* data() const { return is_real ? static_cast<const void*>(&real) : &integer; }
  double real;
  std::int64_t integer;
  bool is_real;
};

Handle text_type(std::size_t length) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), length);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Handle compound_type() {
  Handle type(H5Tcreate(H5T_COMPOUND, 16), H5Tclose);
  H5Tinsert(type.get(), "a", 0, H5T_NATIVE_INT64);
  H5Tinsert(type.get(), "b", 8, H5T_NATIVE_DOUBLE);
  return type;
}

Handle half_type() {
  Handle type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
  H5Tset_size(type.get(), 2);
  H5Tset_ebias(type.get(), 15);
  return type;
}

Handle enum_type() {
  Handle type(H5Tenum_create(H5T_NATIVE_UINT8), H5Tclose);
  for (std::uint8_t value = 0; value < 3; ++value) H5Tenum_insert(type.get(), &"a\0b\0c"[2 * value], &value);
  return type;
}

/// Empty where `name` is none.
Handle stored_type(const std::string& name) {
  const std::map<std::string, hid_t> plain = {
      {"float32", H5T_IEEE_F32LE},   {"float64", H5T_IEEE_F64LE}, {"be-float32", H5T_IEEE_F32BE},
      {"int8", H5T_STD_I8LE},        {"int16", H5T_STD_I16LE},    {"int32", H5T_STD_I32LE},
      {"int64", H5T_STD_I64LE},      {"be-int64", H5T_STD_I64BE}, {"uint8", H5T_STD_U8LE},
      {"uint16", H5T_STD_U16LE},     {"uint32", H5T_STD_U32LE},   {"uint64", H5T_STD_U64LE},
      {"reference", H5T_STD_REF_OBJ}};
  if (const auto found = plain.find(name); found != plain.end()) return {H5Tcopy(found->second), H5Tclose};
  if (name == "float16") return half_type();
  if (name == "text") return text_type(4);
  if (name == "vlen-text") return text_type(H5T_VARIABLE);
  if (name == "compound") return compound_type();
  if (name == "enum") return enum_type();
  if (name == "opaque") return {H5Tcreate(H5T_OPAQUE, 4), H5Tclose};
  return {};
}

using Dims = std::vector<hsize_t>;

hsize_t elements(const Dims& dims) { return static_cast<hsize_t>(hdf5::element_count({dims.begin(), dims.end()})); }
constexpr hsize_t kMostInChunks = 1'000'000'000'000;  ///< HDF5 1.10 takes gigabytes to open a dataset of more
constexpr hsize_t kMostElements = 1 << 16;            ///< that an edit writes

Dims shape_of(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  Dims dims(static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))));
  H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  return dims;
}

bool is_number(hid_t dataset) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const auto cls = H5Tget_class(type.get());
  return cls == H5T_INTEGER || cls == H5T_FLOAT || cls == H5T_ENUM;
}

/// Values as doubles, or none.
std::vector<double> values_of(hid_t dataset) {
  const hsize_t count = elements(shape_of(dataset));
  if (!is_number(dataset) || count > kMostElements) return {};
  std::vector<double> values(count);
  const Handle type(H5Dget_type(dataset), H5Tclose);
  if (H5Tget_class(type.get()) == H5T_ENUM) {
    std::vector<std::int64_t> whole_values(count);
    const Handle memory(H5Tget_super(type.get()), H5Tclose);
    std::vector<unsigned char> raw(count * H5Tget_size(memory.get()));
    if (H5Dread(dataset, type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data()) < 0 || H5Tget_size(memory.get()) != 1)
      return {};
    return {raw.begin(), raw.end()};
  }
  if (H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) return {};
  return values;
}

void write_values(hid_t dataset, const std::vector<double>& values) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  if (H5Tget_class(type.get()) == H5T_ENUM) {
    std::vector<std::uint8_t> raw;
    for (const double value : values) raw.push_back(static_cast<std::uint8_t>(value >= 0 && value < 256 ? value : 255));
    H5Dwrite(dataset, type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, raw.data());
  } else {
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  }
}

/// What "dataset NAME key=value ..." asks for.
struct Description {
  Handle type;
  Dims shape;
  std::string layout = "contiguous", filter;
  bool written = true;
};

Description describe(const Words& edit, hid_t old) {
  Description d;
  if (old >= 0) {
    d.type = Handle(H5Dget_type(old), H5Tclose);
    d.shape = shape_of(old);
  } else {
    d.type = stored_type("float64");
    d.shape = {4};
  }
  for (std::size_t i = 2; i < edit.size(); ++i) {
    const auto equals = edit[i].find('=');
    if (equals == std::string::npos) continue;
    const std::string key = edit[i].substr(0, equals), value = edit[i].substr(equals + 1);
    if (key == "type") {
      if (Handle type = stored_type(value)) d.type = std::move(type);
    } else if (key == "shape") {
      d.shape.clear();
      for (std::size_t at = 0; at < value.size(); at = std::min(value.find(',', at), value.size() - 1) + 1)
        d.shape.push_back(static_cast<hsize_t>(std::max<std::int64_t>(0, whole(value.substr(at)))));
      if (d.shape.size() > 8) d.shape.resize(8);
    } else if (key == "layout") {
      d.layout = value;
    } else if (key == "filter") {
      d.filter = value;
    } else if (key == "written") {
      d.written = value != "no";
    }
  }
  return d;
}

constexpr H5Z_filter_t kLzf = 32000;  ///< as h5py registers it

Handle creation_list(const Description& d) {
  Handle list(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const bool chunked = d.layout == "chunked" || !d.filter.empty();
  if (chunked && !d.shape.empty()) {
    Dims chunk = d.shape;
    for (auto& extent : chunk) extent = std::clamp<hsize_t>(extent, 1, 64);
    H5Pset_chunk(list.get(), static_cast<int>(chunk.size()), chunk.data());
  } else if (d.layout == "compact") {
    H5Pset_layout(list.get(), H5D_COMPACT);
  } else if (d.layout == "external") {
    H5Pset_external(list.get(), "/gpumonth-no-such-folder/file.bin", 0, H5F_UNLIMITED);
  } else if (d.layout == "short-external") {
    H5Pset_external(list.get(), "/dev/null", 0, H5F_UNLIMITED);
  } else if (d.layout == "virtual" && !d.shape.empty()) {
    const Handle space(H5Screate_simple(static_cast<int>(d.shape.size()), d.shape.data(), nullptr), H5Sclose);
    H5Pset_virtual(list.get(), space.get(), "gpumonth-no-such-file.h5", "data", space.get());
  }
  if (d.filter == "gzip" || d.filter == "corrupt") H5Pset_deflate(list.get(), 1);
  if (d.filter == "shuffle") H5Pset_shuffle(list.get());
  if (d.filter == "fletcher32") H5Pset_fletcher32(list.get());
  if (d.filter == "lzf") H5Pset_filter(list.get(), kLzf, H5Z_FLAG_OPTIONAL, 0, nullptr);
  return list;
}

/// The first chunk as a filter that is not here left it.
void write_foreign_chunk(hid_t dataset) {
  const Dims start(shape_of(dataset).size(), 0);
  if (start.empty()) return;
  const std::string bytes = "no such stream";
  H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, start.data(), bytes.size(), bytes.data());
}

void make_dataset(hid_t file, const Words& edit) {
  const std::string& name = edit[1];
  const Handle old(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  const Description d = describe(edit, old.get());
  if ((d.layout == "chunked" || !d.filter.empty()) && elements(d.shape) > kMostInChunks) return;
  std::vector<double> values;
  if (old) values = values_of(old.get());
  const Handle space(d.shape.empty() ? H5Screate(H5S_SCALAR)
                                     : H5Screate_simple(static_cast<int>(d.shape.size()), d.shape.data(), nullptr),
                     H5Sclose);
  const Handle list = creation_list(d);
  H5Ldelete(file, name.c_str(), H5P_DEFAULT);
  const Handle made(H5Dcreate2(file, name.c_str(), d.type.get(), space.get(), H5P_DEFAULT, list.get(), H5P_DEFAULT),
                    H5Dclose);
  const hsize_t count = elements(d.shape);
  if (!made || !d.written || count == 0 || count > kMostElements) return;
  if (d.filter == "lzf" || d.filter == "corrupt") return write_foreign_chunk(made.get());
  if (d.layout != "contiguous" && d.layout != "compact" && d.layout != "chunked" && d.filter.empty()) return;
  values.resize(count);
  if (is_number(made.get())) write_values(made.get(), values);
}

void set_value(hid_t file, const std::string& name, std::int64_t place, const Number& value, bool all) {
  const Handle dataset(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset || !is_number(dataset.get())) return;
  const Dims dims = shape_of(dataset.get());
  const hsize_t count = elements(dims);
  if (count == 0 || count > kMostElements) return;
  if (all) return write_values(dataset.get(), std::vector<double>(count, value.real));
  auto rest = static_cast<hsize_t>(place) % count;
  Dims point(dims.size());
  for (std::size_t i = dims.size(); i-- > 0; rest /= dims[i]) point[i] = rest % dims[i];
  const Handle space(H5Dget_space(dataset.get()), H5Sclose), one(H5Screate(H5S_SCALAR), H5Sclose);
  if (!point.empty()) H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, point.data());
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  if (H5Tget_class(type.get()) == H5T_ENUM) {
    const auto raw = static_cast<std::uint8_t>(value.integer);
    H5Dwrite(dataset.get(), type.get(), one.get(), space.get(), H5P_DEFAULT, &raw);
  } else {
    H5Dwrite(dataset.get(), value.type(), one.get(), space.get(), H5P_DEFAULT, value.data());
  }
}

void set_rows(hid_t file, const Words& edit) {
  const Handle dataset(H5Dopen2(file, edit[1].c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset) return;
  Dims dims = shape_of(dataset.get());
  if (dims.empty()) return;
  const auto rows = static_cast<hsize_t>(std::max<std::int64_t>(0, whole(edit[2])));
  if (rows < dims[0] && dims[0] > kMostElements) return;  // HDF5 looks for each chunk that goes, written or not
  dims[0] = rows;
  H5Dset_extent(dataset.get(), dims.data());
}

void make_attribute(hid_t file, const Words& edit) {
  const std::string &object = edit[1], &name = edit[2];
  const std::string kind = edit.size() > 3 ? edit[3] : "";
  const Words values(edit.begin() + std::min<std::ptrdiff_t>(4, std::ssize(edit)), edit.end());
  H5Adelete_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT);
  const auto count = static_cast<hsize_t>(values.size());
  const Handle space(kind == "null" || count == 0 ? H5Screate(H5S_NULL)
                     : count == 1                 ? H5Screate(H5S_SCALAR)
                                                  : H5Screate_simple(1, &count, nullptr),
                     H5Sclose);
  const auto create = [&](hid_t type) {
    return Handle(
        H5Acreate_by_name(file, object.c_str(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
  };
  if (kind == "number") {
    const bool real = std::any_of(values.begin(), values.end(), [](const auto& v) { return Number(v).is_real; });
    const Handle attribute = create(real ? H5T_IEEE_F64LE : H5T_STD_I64LE);
    std::vector<double> reals;
    std::vector<std::int64_t> integers;
    for (const auto& value : values) {
      reals.push_back(Number(value).real);
      integers.push_back(Number(value).integer);
    }
    if (!attribute || values.empty()) return;
    real ? H5Awrite(attribute.get(), H5T_NATIVE_DOUBLE, reals.data())
         : H5Awrite(attribute.get(), H5T_NATIVE_INT64, integers.data());
  } else if (kind == "fixed-text" && !values.empty()) {
    const Handle type = text_type(std::max<std::size_t>(1, values[0].size()));
    const Handle attribute = create(type.get());
    std::string padded;
    for (const auto& value : values)
      padded += value, padded.resize((padded.size() / H5Tget_size(type.get()) + 1) * H5Tget_size(type.get()));
    if (attribute) H5Awrite(attribute.get(), type.get(), padded.data());
  } else if (kind == "compound") {
    static_cast<void>(create(compound_type().get()));
  } else {
    const Handle type = text_type(H5T_VARIABLE);
    const Handle attribute = create(type.get());
    std::vector<const char*> pointers;
    for (const auto& value : values) pointers.push_back(value.c_str());
    if (attribute && !pointers.empty()) H5Awrite(attribute.get(), type.get(), pointers.data());
  }
}

void make_link(hid_t file, const Words& edit) {
  const char* name = edit[1].c_str();
  if (edit[2] == "external") {
    if (edit.size() <= 4) return;
    H5Ldelete(file, name, H5P_DEFAULT);
    H5Lcreate_external(edit[3].c_str(), edit[4].c_str(), file, name, H5P_DEFAULT, H5P_DEFAULT);
  } else if (edit.size() > 3) {
    if (edit[2] == "hard" && edit[3] == edit[1]) return;
    if (edit[2] == "hard" && edit[3] == "/") return;  // HDF5 1.10 may crash as it closes such a file
    H5Ldelete(file, name, H5P_DEFAULT);
    edit[2] == "hard" ? H5Lcreate_hard(file, edit[3].c_str(), file, name, H5P_DEFAULT, H5P_DEFAULT)
                      : H5Lcreate_soft(edit[3].c_str(), file, name, H5P_DEFAULT, H5P_DEFAULT);
  }
}

void apply(hid_t file, const Words& edit) {
  const std::string& verb = edit[0];
  const std::size_t words = edit.size();
  if (verb == "set" && words > 3) set_value(file, edit[1], whole(edit[2]), Number(edit[3]), false);
  if (verb == "fill" && words > 2) set_value(file, edit[1], 0, Number(edit[2]), true);
  if (verb == "rows" && words > 2) set_rows(file, edit);
  if (verb == "dataset" && words > 1) make_dataset(file, edit);
  if (verb == "group" && words > 1)
    static_cast<void>(Handle(H5Gcreate2(file, edit[1].c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose));
  if (verb == "remove" && words > 1) H5Ldelete(file, edit[1].c_str(), H5P_DEFAULT);
  if (verb == "link" && words > 2) make_link(file, edit);
  if (verb == "attribute" && words > 2) make_attribute(file, edit);
  if (verb == "no-attribute" && words > 2) H5Adelete_by_name(file, edit[1].c_str(), edit[2].c_str(), H5P_DEFAULT);
}

void apply_to_bytes(const std::filesystem::path& file, const Words& edit) {
  if (edit[0] != "truncate" && edit[0] != "byte") return;
  std::string bytes = read_bytes(file);
  if (edit[0] == "truncate" && edit.size() > 1)
    bytes.resize(std::min(bytes.size(), static_cast<std::size_t>(std::max<std::int64_t>(0, whole(edit[1])))));
  if (edit[0] == "byte" && edit.size() > 2 && !bytes.empty())
    bytes[static_cast<std::size_t>(whole(edit[1])) % bytes.size()] = static_cast<char>(whole(edit[2]));
  write_scratch(file.filename(), bytes);
}

}  // namespace

std::vector<Words> parse_edits(const std::string& text) {
  std::vector<Words> edits;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    Words words;
    for (std::size_t at = 0; at < line.size();) {
      if (line[at] == ' ')
        ++at;
      else
        words.push_back(word_at(line, at));
    }
    if (!words.empty()) edits.push_back(std::move(words));
  }
  return edits;
}

std::string to_text(const std::vector<Words>& edits) {
  std::string text;
  for (const auto& edit : edits) {
    for (std::size_t i = 0; i < edit.size(); ++i) text += (i > 0 ? " " : "") + quoted(edit[i]);
    text += "\n";
  }
  return text;
}

std::filesystem::path edited_file(const std::string& name, const std::vector<Base>& bases,
                                  const std::vector<Words>& edits) {
  hdf5::native_type<float>();  // turns HDF5's own messages off
  const Base* base = &bases.front();
  for (const auto& candidate : bases)
    if (!edits.empty() && edits[0][0] == "base" && edits[0].size() > 1 && edits[0][1] == candidate.name)
      base = &candidate;
  const auto path = write_scratch(name, base->image);
  {
    const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_V110);
    H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
    const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), H5Fclose);
    if (!file) throw std::logic_error("the base " + base->name + " cannot be opened");
    for (const auto& edit : edits) apply(file.get(), edit);
  }
  H5Eclear2(H5E_DEFAULT);
  for (const auto& edit : edits) apply_to_bytes(path, edit);
  return path;
}

bool may_change_values(const std::vector<Words>& edits) {
  // The second of two replaces what the first may have made unreadable.
  if (std::count_if(edits.begin(), edits.end(), [](const Words& edit) { return edit[0] == "dataset"; }) > 1)
    return true;
  return std::any_of(edits.begin(), edits.end(), [](const Words& edit) {
    // A type of fewer bits, a longer shape padded with zeros, or values inside of the header, of which HDF5 does not keep
    // whether they were ever written.
    if (edit[0] == "dataset")
      return std::any_of(edit.begin(), edit.end(), [](const auto& word) {
        return word.starts_with("type=") || word.starts_with("shape=") || word == "layout=compact";
      });
    return edit[0] == "set" || edit[0] == "fill" || edit[0] == "byte" || edit[0] == "link" || edit[0] == "base";
  });
}

}  // namespace gpumonth::fuzz
