// Where the values of a dataset are. HDF5 answers a read of what is not there with its fill value, mostly zeros, and no
// error: chunks that were never written, sources of a virtual dataset that are missing or too short, external files
// that end early. So File::dataset() finds out when it opens a dataset, from metadata alone, and every reader of this
// program (latents, labels, checkpoints, probe batches, run logs) is served by the same rules.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/hdf5.h"

namespace gpumonth::hdf5 {

/// A file that rows [first_row, last_row] of a dataset are read from, as it was when the dataset was opened.
struct StoredFile {
  std::filesystem::path path;
  int descriptor = -1;  ///< of the dataset's own file, which may be deleted while it is read; else `path` is looked at
  std::int64_t first_row = 0, last_row = 0;
  struct stat opened {};
};

struct Storage {
  std::int64_t rows = -1;         ///< of a growing log: those that were written; -1: all
  std::string first_missing;      ///< numbered sources: the one before which the dataset ends; else empty
  std::vector<StoredFile> files;  ///< what reads depend on; none for a growing log
};

/// Error where a part of the dataset was never written, is in a file that is missing or too short, or needs a filter
/// that this HDF5 lacks. `descriptor`: of the file `path` that the dataset stands in.
Storage require_stored(const Dataset& dataset, const std::filesystem::path& path, int descriptor);

/// The same for a log that may be growing, or whose writer was killed: rows at its end may not be there yet.
Storage require_growing(const Dataset& dataset, const std::filesystem::path& path);

/// Error where one of the files that rows [first, last] come from has gone or was changed since.
void require_unchanged(const Storage& storage, const std::string& name, std::int64_t first, std::int64_t last);

namespace detail {

/// Error where the dataset needs a filter that this HDF5 lacks.
void require_filters(hid_t creation, const std::string& name);

/// One dataset or, `depth` levels down, a source of a virtual one; adds the files that it reads.
struct StoredDataset {
  hid_t id;
  std::string name;                  ///< in messages
  std::filesystem::path path;        ///< of the file that it stands in
  std::int64_t first_row, last_row;  ///< of the outermost dataset, that this one gives
  int depth = 0;
};
void collect(const StoredDataset& dataset, Storage& storage);
void collect_virtual(const StoredDataset& dataset, hid_t creation, Storage& storage);

/// Handles of property lists and spaces, closed at the end of the scope.
inline Handle property(hid_t list) { return {list, H5Pclose}; }
inline Handle space(hid_t id) { return {id, H5Sclose}; }
std::vector<hsize_t> extents(hid_t space);

}  // namespace detail
}  // namespace gpumonth::hdf5
