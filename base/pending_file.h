// HDF5 files that appear under their name only when that is safe.
#pragma once

#include <filesystem>

#include "base/hdf5.h"

namespace gpumonth::hdf5 {

/// A file that gets its name only when that is safe. It is made as `.NAME.PID.tmp` in the folder of `target`;
/// unless published or committed, the destructor removes it.
class PendingFile {
 public:
  enum class Existing { refuse, replace };
  /// Error where the folder cannot be written, or the target exists and `existing` refuses that.
  PendingFile(std::filesystem::path target, Existing existing, bool swmr = false);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;
  PendingFile& operator=(const PendingFile&) = delete;
  File& file() { return file_; }
  /// Closes, syncs to disk, renames, syncs the folder: the target is whole or unchanged.
  void commit();
  /// Renames the open file, so that it can be read from now on while it grows.
  void publish();

 private:
  void rename();
  std::filesystem::path target_, temporary_;
  Existing existing_;
  File file_;
  bool done_ = false;
};

}  // namespace gpumonth::hdf5
