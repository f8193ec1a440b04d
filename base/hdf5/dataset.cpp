#include <algorithm>

#include "base/hdf5/storage.h"

namespace gpumonth::hdf5 {

// ----------------------------------------------------------------------------------------------------
// Dataset

Shape Dataset::shape() const {
  Handle space(H5Dget_space(id()), H5Sclose);
  const int rank = space ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0) fail(name_ + ": cannot read its shape");
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  Shape shape(dims.begin(), dims.end());
  if (storage_ && storage_->rows >= 0) shape[0] = std::min(shape[0], storage_->rows);
  return shape;
}

std::string Dataset::why_it_ends() const {
  if (!storage_ || storage_->first_missing.empty()) return "";
  return fmt::format("; {} ends before its source {}, which is missing", name_, storage_->first_missing);
}

namespace {
H5T_class_t type_class(hid_t dataset) {
  Handle type(H5Dget_type(dataset), H5Tclose);
  return type ? H5Tget_class(type.get()) : H5T_NO_CLASS;
}
}  // namespace

std::int64_t Dataset::chunk_rows() const {
  const Handle creation = detail::property(H5Dget_create_plist(id()));
  if (!creation) fail(name_ + ": cannot read how it is stored");
  if (H5Pget_layout(creation.get()) != H5D_CHUNKED) return 0;
  hsize_t rows = 0;
  if (H5Pget_chunk(creation.get(), 1, &rows) < 1) fail(name_ + ": cannot read its chunks");
  return static_cast<std::int64_t>(rows);
}

bool Dataset::is_float() const { return type_class(id()) == H5T_FLOAT; }

bool Dataset::is_integer() const {
  const auto cls = type_class(id());
  return cls == H5T_INTEGER || cls == H5T_ENUM;
}

void Dataset::read_rows(std::int64_t first, std::int64_t count, void* out, hid_t memory_type) const {
  const std::string what = name_ + ": cannot read";
  const Shape extent = shape();
  const bool ends_early = storage_ && storage_->rows >= 0;
  if (count < 0 && ends_early) count = extent[0];
  if (count < 0) {
    if (H5Dread(id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out) < 0) fail(what);
    if (storage_) require_unchanged(*storage_, name_, 0, extent.empty() ? 0 : extent[0] - 1);
    return;
  }
  auto rows = dimensions(extent);
  if (rows.empty() || first + count > static_cast<std::int64_t>(rows[0])) {
    fail(fmt::format("{} rows {} to {} of {}", what, first, first + count - 1, rows.empty() ? 0 : rows[0]));
  }
  std::vector<hsize_t> start(rows.size(), 0);
  start[0] = static_cast<hsize_t>(first);
  rows[0] = static_cast<hsize_t>(count);
  Handle space(H5Dget_space(id()), H5Sclose);
  Handle memory(H5Screate_simple(static_cast<int>(rows.size()), rows.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, rows.data(), nullptr) < 0 ||
      H5Dread(id(), memory_type, memory.get(), space.get(), H5P_DEFAULT, out) < 0) {
    fail(fmt::format("{} rows {} to {}", what, first, first + count - 1));
  }
  if (storage_) require_unchanged(*storage_, name_, first, first + count - 1);
}

void Dataset::write(const void* values, hid_t memory_type) {
  if (H5Dwrite(id(), memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) fail(name_ + ": cannot write");
}

void Dataset::append(std::int64_t rows, std::int64_t count, const void* values, hid_t memory_type) {
  auto extent = dimensions(shape());
  extent[0] = static_cast<hsize_t>(rows + count);
  if (H5Dset_extent(id(), extent.data()) < 0) fail(name_ + ": cannot extend");
  std::vector<hsize_t> start(extent.size(), 0);
  start[0] = static_cast<hsize_t>(rows);
  extent[0] = static_cast<hsize_t>(count);
  Handle space(H5Dget_space(id()), H5Sclose);
  Handle memory(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr) < 0 ||
      H5Dwrite(id(), memory_type, memory.get(), space.get(), H5P_DEFAULT, values) < 0) {
    fail(name_ + ": cannot append");
  }
}

}  // namespace gpumonth::hdf5
