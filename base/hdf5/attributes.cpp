// Attributes: numbers, text, lists of text. Text is variable-length UTF-8, which h5py reads as str;
// fixed-length text that other programs wrote is read too.
#include <cstring>

#include "base/hdf5.h"

namespace gpumonth::hdf5 {

namespace {

Handle string_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  if (!type || H5Tset_size(type.get(), H5T_VARIABLE) < 0 || H5Tset_cset(type.get(), H5T_CSET_UTF8) < 0) {
    fail("H5Tcopy");
  }
  return type;
}

Handle open_attribute(hid_t file, const std::string& path, const std::string& object, const std::string& name) {
  Handle attribute(H5Aopen_by_name(file, object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (!attribute) {
    H5Eclear2(H5E_DEFAULT);
    user_error("{}: {} has no attribute '{}'", path, object, name);
  }
  return attribute;
}

void create_attribute(hid_t file, const std::string& path, const std::string& object, const std::string& name,
                      hid_t type, const Handle& space, const void* value) {
  Handle attribute(
      H5Acreate_by_name(file, object.c_str(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Aclose);
  if (!attribute || H5Awrite(attribute.get(), type, value) < 0) {
    fail(fmt::format("{}: cannot write attribute '{}' of {}", path, name, object));
  }
}

std::vector<std::string> read_variable(const Handle& attribute, const Handle& space, std::size_t count) {
  const Handle memory = string_type();
  std::vector<char*> raw(count, nullptr);
  if (H5Aread(attribute.get(), memory.get(), static_cast<void*>(raw.data())) < 0) return {};
  std::vector<std::string> out;
  for (const char* text : raw) out.emplace_back(text ? text : "");
  H5Dvlen_reclaim(memory.get(), space.get(), H5P_DEFAULT, static_cast<void*>(raw.data()));
  return out;
}

std::vector<std::string> read_fixed(const Handle& attribute, const Handle& type, std::size_t count) {
  const std::size_t size = H5Tget_size(type.get());
  std::vector<char> raw(count * size);
  if (H5Aread(attribute.get(), type.get(), raw.data()) < 0) return {};
  std::vector<std::string> out;
  for (std::size_t i = 0; i < count; ++i) {
    const char* text = raw.data() + i * size;
    out.emplace_back(text, strnlen(text, size));
  }
  return out;
}

}  // namespace

bool File::has_attribute(const std::string& object, const std::string& name) const {
  const bool found = H5Aexists_by_name(id(), object.c_str(), name.c_str(), H5P_DEFAULT) > 0;
  if (!found) H5Eclear2(H5E_DEFAULT);
  return found;
}

std::vector<std::string> File::attribute_names(const std::string& object) const {
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  Handle handle(H5Oopen(id(), object.c_str(), H5P_DEFAULT), H5Oclose);
  if (!handle || H5Aiterate2(handle.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0) {
    fail(fmt::format("{}: cannot list the attributes of {}", path_, object));
  }
  return names;
}

void File::set_attribute(const std::string& object, const std::string& name, const void* value, hid_t type) {
  create_attribute(id(), path_, object, name, type, Handle(H5Screate(H5S_SCALAR), H5Sclose), value);
}

void File::set_attribute(const std::string& object, const std::string& name, const std::string& value) {
  set_attribute(object, name, value.c_str());
}

void File::set_attribute(const std::string& object, const std::string& name, const char* value) {
  const Handle type = string_type();
  set_attribute(object, name, static_cast<const void*>(&value), type.get());
}

void File::set_attribute(const std::string& object, const std::string& name, const std::vector<std::string>& values) {
  std::vector<const char*> raw;
  for (const auto& value : values) raw.push_back(value.c_str());
  const hsize_t count = raw.size();
  Handle space(count == 0 ? H5Screate(H5S_NULL) : H5Screate_simple(1, &count, nullptr), H5Sclose);
  create_attribute(id(), path_, object, name, string_type().get(), space, static_cast<const void*>(raw.data()));
}

void File::read_attribute(const std::string& object, const std::string& name, void* value, hid_t type) const {
  const Handle attribute = open_attribute(id(), path_, object, name);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  const Handle stored(H5Aget_type(attribute.get()), H5Tclose);
  const auto cls = H5Tget_class(stored.get());
  if (H5Sget_simple_extent_npoints(space.get()) != 1 || (cls != H5T_INTEGER && cls != H5T_FLOAT)) {
    user_error("{}: attribute '{}' of {} is not one number", path_, name, object);
  }
  if (H5Aread(attribute.get(), type, value) < 0) {
    fail(fmt::format("{}: cannot read attribute '{}' of {}", path_, name, object));
  }
}

std::string File::text_attribute(const std::string& object, const std::string& name) const {
  const auto list = text_list_attribute(object, name);
  if (list.size() != 1) user_error("{}: attribute '{}' of {} is not one text", path_, name, object);
  return list[0];
}

std::vector<std::string> File::text_list_attribute(const std::string& object, const std::string& name) const {
  const Handle attribute = open_attribute(id(), path_, object, name);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  const Handle type(H5Aget_type(attribute.get()), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING) {
    user_error("{}: attribute '{}' of {} is not text", path_, name, object);
  }
  const auto points = H5Sget_simple_extent_npoints(space.get());
  const auto count = static_cast<std::size_t>(points > 0 ? points : 0);
  const auto list =
      H5Tis_variable_str(type.get()) > 0 ? read_variable(attribute, space, count) : read_fixed(attribute, type, count);
  if (list.size() != count) fail(fmt::format("{}: cannot read attribute '{}' of {}", path_, name, object));
  return list;
}

}  // namespace gpumonth::hdf5
