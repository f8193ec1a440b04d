#include "base/hdf5/storage.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>

namespace gpumonth::hdf5 {

using detail::StoredDataset;

namespace detail {

std::vector<hsize_t> extents(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  std::vector<hsize_t> dims(static_cast<std::size_t>(std::max(rank, 0)));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  return dims;
}

namespace {

/// Registered filters (github.com/HDFGroup/hdf5_plugins, docs/RegisteredFilterPlugins.md) by the names people know.
std::string filter_name(H5Z_filter_t id, const std::string& stored) {
  static const std::map<H5Z_filter_t, const char*> known = {
      {1, "gzip"},           {4, "szip"},    {307, "bzip2"},  {32000, "lzf"}, {32001, "blosc"}, {32004, "lz4"},
      {32008, "bitshuffle"}, {32013, "zfp"}, {32015, "zstd"}, {32017, "sz"},  {32024, "sz3"},   {32026, "blosc2"}};
  const auto found = known.find(id);
  return found != known.end() ? found->second : stored.empty() ? "unknown" : stored;
}

}  // namespace

void require_filters(hid_t creation, const std::string& name) {
  const int count = H5Pget_nfilters(creation);
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0;
    std::size_t values = 0;
    char stored[64] = "";
    const H5Z_filter_t id =
        H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, sizeof stored, stored, nullptr);
    // Also looks for a plugin, as a read would.
    const bool available = id >= 0 && H5Zfilter_avail(id) > 0;
    H5Eclear2(H5E_DEFAULT);
    if (available) continue;
    user_error(
        "{} is compressed with the filter {} ({}), which this HDF5 does not have: store it with gzip (h5py: "
        "compression=\"gzip\"; h5repack -f GZIP=4 where the filter is known), or name the folder of the "
        "filter's plugin in HDF5_PLUGIN_PATH",
        name, filter_name(id, stored), id);
  }
}

namespace {

struct Chunks {
  std::vector<hsize_t> grid, shape;  ///< chunks along each dimension, elements of one
  hsize_t total = 1, written = 0;
};

Chunks chunks_of(hid_t dataset, hid_t creation) {
  const Handle whole = space(H5Dget_space(dataset));
  const auto dims = extents(whole.get());
  Chunks chunks{{}, std::vector<hsize_t>(dims.size()), 1, 0};
  H5Pget_chunk(creation, static_cast<int>(dims.size()), chunks.shape.data());
  for (std::size_t d = 0; d < dims.size(); ++d) {
    chunks.grid.push_back((dims[d] + chunks.shape[d] - 1) / chunks.shape[d]);
    chunks.total *= chunks.grid.back();
  }
  if (H5Dget_num_chunks(dataset, whole.get(), &chunks.written) < 0) fail("H5Dget_num_chunks");
  return chunks;
}

/// Whether the `index`th written chunk is the `index`th of all, in row-major order.
bool in_place(hid_t dataset, const Chunks& chunks, hsize_t index) {
  const Handle whole = space(H5Dget_space(dataset));
  std::vector<hsize_t> offset(chunks.grid.size());
  unsigned mask = 0;
  haddr_t address = 0;
  hsize_t size = 0;
  if (H5Dget_chunk_info(dataset, whole.get(), index, offset.data(), &mask, &address, &size) < 0) return false;
  hsize_t place = 0;
  for (std::size_t d = 0; d < offset.size(); ++d) place = place * chunks.grid[d] + offset[d] / chunks.shape[d];
  return place == index;
}

/// How many chunks were written before the first that was not, in row-major order. HDF5 can only be asked for the n-th
/// chunk that was written, so this halves the range in which those begin to be elsewhere.
hsize_t leading_chunks(hid_t dataset, const Chunks& chunks) {
  hsize_t low = 0, high = chunks.written;
  while (low < high) {
    const hsize_t middle = low + (high - low) / 2;
    if (in_place(dataset, chunks, middle))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// The first row of chunk `index`.
hsize_t row_of(const Chunks& chunks, hsize_t index) {
  hsize_t per_row = 1;
  for (std::size_t d = 1; d < chunks.grid.size(); ++d) per_row *= chunks.grid[d];
  return index / per_row * chunks.shape[0];
}

[[noreturn]] void refuse_missing(const std::string& name, const Chunks& chunks, hsize_t first) {
  user_error(
      "{}: {} of {} chunks were never written, the first at row {}: HDF5 would give its fill value there; write "
      "all of the data (was its writer stopped?)",
      name, chunks.total - chunks.written, chunks.total, row_of(chunks, first));
}

[[noreturn]] void refuse_unwritten(const std::string& name) {
  user_error("{} was created, but never written: HDF5 would give its fill value for every element; write the data",
             name);
}

/// Counts chunks: H5Dget_space_status() compares bytes, and takes compressed chunks for missing ones.
void require_chunks(const StoredDataset& dataset, hid_t creation) {
  const Chunks chunks = chunks_of(dataset.id, creation);
  if (chunks.written == 0) refuse_unwritten(dataset.name);
  if (chunks.written < chunks.total) refuse_missing(dataset.name, chunks, leading_chunks(dataset.id, chunks));
}

void require_written(const StoredDataset& dataset) {
  H5D_space_status_t status = H5D_SPACE_STATUS_ERROR;
  if (H5Dget_space_status(dataset.id, &status) < 0) fail(dataset.name + ": cannot tell what was written");
  if (status == H5D_SPACE_STATUS_NOT_ALLOCATED) refuse_unwritten(dataset.name);
}

/// As HDF5 does: relative to HDF5_EXTFILE_PREFIX, else to where this process was started.
std::filesystem::path external_path(const std::string& name, const std::filesystem::path& file) {
  const char* variable = std::getenv("HDF5_EXTFILE_PREFIX");
  std::string prefix = variable ? variable : "";
  const std::string origin = "${ORIGIN}";
  if (prefix.starts_with(origin)) {
    prefix = std::filesystem::absolute(file).parent_path().string() + prefix.substr(origin.size());
  }
  return prefix.empty() || prefix == "." ? std::filesystem::path(name) : std::filesystem::path(prefix) / name;
}

void collect_external(const StoredDataset& dataset, hid_t creation, Storage& storage) {
  const Handle whole = space(H5Dget_space(dataset.id));
  const Handle type(H5Dget_type(dataset.id), H5Tclose);
  auto left = static_cast<hsize_t>(H5Sget_simple_extent_npoints(whole.get())) * H5Tget_size(type.get());
  for (int i = 0; i < H5Pget_external_count(creation) && left > 0; ++i) {
    char name[4096] = "";
    off_t offset = 0;
    hsize_t size = 0;
    if (H5Pget_external(creation, static_cast<unsigned>(i), sizeof name - 1, name, &offset, &size) < 0) {
      fail(dataset.name + ": cannot read where its external data are");
    }
    const hsize_t needed = std::min(left, size);
    left -= needed;
    StoredFile file{external_path(name, dataset.path), -1, dataset.first_row, dataset.last_row, {}};
    if (::stat(file.path.c_str(), &file.opened) != 0) {
      user_error(
          "{}: its values are in the external file {}, which {}: start in the folder that this name begins in, "
          "or name that folder in HDF5_EXTFILE_PREFIX",
          dataset.name, file.path.string(), errno == ENOENT ? "does not exist" : "cannot be looked at");
    }
    const hsize_t end = static_cast<hsize_t>(offset) + needed;
    if (static_cast<hsize_t>(file.opened.st_size) < end) {
      user_error(
          "{}: its external file {} ends after {} of {} bytes; HDF5 would give zeros for the rest: get the whole "
          "file",
          dataset.name, file.path.string(), file.opened.st_size, end);
    }
    storage.files.push_back(std::move(file));
  }
}

}  // namespace

void collect(const StoredDataset& dataset, Storage& storage) {
  const Handle creation = property(H5Dget_create_plist(dataset.id));
  const Handle whole = space(H5Dget_space(dataset.id));
  if (!creation || !whole) fail(dataset.name + ": cannot read how it is stored");
  require_filters(creation.get(), dataset.name);
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  if (layout == H5D_VIRTUAL) return collect_virtual(dataset, creation.get(), storage);
  if (H5Sget_simple_extent_npoints(whole.get()) == 0) return;
  if (layout == H5D_CHUNKED) return require_chunks(dataset, creation.get());
  if (H5Pget_external_count(creation.get()) > 0) return collect_external(dataset, creation.get(), storage);
  require_written(dataset);
}

}  // namespace detail

Storage require_stored(const Dataset& dataset, const std::filesystem::path& path, int descriptor) {
  const Shape shape = dataset.shape();
  const std::int64_t last = shape.empty() ? 0 : shape[0] - 1;
  Storage storage;
  StoredFile own{path, descriptor, 0, last, {}};
  if (::fstat(descriptor, &own.opened) != 0) fail(path.string() + ": cannot read its size", errno);
  storage.files.push_back(std::move(own));
  detail::collect({dataset.id(), dataset.name(), path, 0, last}, storage);
  return storage;
}

Storage require_growing(const Dataset& dataset, const std::filesystem::path& path) {
  const Handle creation = detail::property(H5Dget_create_plist(dataset.id()));
  if (!creation) fail(dataset.name() + ": cannot read how it is stored");
  Storage storage;
  if (H5Pget_layout(creation.get()) != H5D_CHUNKED || element_count(dataset.shape()) == 0) {
    // What a log writes only once was written before others could open it: as in any file.
    detail::collect({dataset.id(), dataset.name(), path, 0, 0}, storage);
    storage.files.clear();
    return storage;
  }
  detail::require_filters(creation.get(), dataset.name());
  const auto chunks = detail::chunks_of(dataset.id(), creation.get());
  if (chunks.written >= chunks.total) return storage;
  const hsize_t leading = detail::leading_chunks(dataset.id(), chunks);
  if (leading < chunks.written) detail::refuse_missing(dataset.name(), chunks, leading);
  storage.rows = static_cast<std::int64_t>(detail::row_of(chunks, leading));
  return storage;
}

void require_unchanged(const Storage& storage, const std::string& name, std::int64_t first, std::int64_t last) {
  for (const StoredFile& file : storage.files) {
    if (last < file.first_row || first > file.last_row) continue;
    struct stat now {};
    const int status = file.descriptor >= 0 ? ::fstat(file.descriptor, &now) : ::stat(file.path.c_str(), &now);
    if (status != 0) fail(fmt::format("{}: {} has gone since it was opened", name, file.path.string()), errno);
    const struct stat& then = file.opened;
    if (now.st_ino == then.st_ino && now.st_size == then.st_size && now.st_mtim.tv_sec == then.st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == then.st_mtim.tv_nsec) {
      continue;
    }
    user_error(
        "{}: {} was written to after it was opened: what was read may be half old, half new; let nobody write to "
        "it while it is read",
        name, file.path.string());
  }
}

}  // namespace gpumonth::hdf5
