// HDF5 behind small RAII handles: files, datasets, attributes, typed reads and writes.
//
// Every failed call throws hdf5::Error, a UserError of one line that names file, object and the system's
// reason
// ("run.h5: cannot write /steps/loss: no space left on device"); HDF5 itself prints nothing. Objects are
// named by absolute path. Shapes are element counts, data are row-major host arrays in native byte order;
// HDF5 converts.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace gpumonth::hdf5 {

std::string library_version();  ///< "1.10.8"

using Shape = std::vector<std::int64_t>;
std::string to_string(const Shape& shape);       ///< "(8, 4, 32, 32)"
std::int64_t element_count(const Shape& shape);  ///< 1 for a scalar; the most there are where a file declares more
inline std::vector<hsize_t> dimensions(const Shape& shape) { return {shape.begin(), shape.end()}; }

struct Error : UserError {
  Error(const std::string& text, int number) : UserError(text), system_errno(number) {}
  bool no_space() const;  ///< disk, quota or file size limit reached
  int system_errno;       ///< 0 where HDF5 gave none
};

/// Throws Error "<what>: <reason>", the reason from HDF5's error stack (or from `system_errno` if not 0).
[[noreturn]] void fail(const std::string& what, int system_errno = 0);

/// Owns one HDF5 identifier.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), closer_(other.closer_) {}
  Handle& operator=(Handle&& other) noexcept;
  ~Handle() { reset(); }
  hid_t get() const { return id_; }
  explicit operator bool() const { return id_ >= 0; }
  void reset() noexcept;
  hid_t release() { return std::exchange(id_, -1); }

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

/// The in-memory type of T: float, double, std::(u)int8_t ... std::(u)int64_t.
template <class T>
hid_t native_type();

struct Storage;  // hdf5_storage.h

class Dataset {
 public:
  Dataset(Handle id, std::string name) : id_(std::move(id)), name_(std::move(name)) {}
  const std::string& name() const { return name_; }  ///< "run.h5: /steps/loss"
  hid_t id() const { return id_.get(); }
  Shape shape() const;  ///< of a growing log: with the rows that were written
  /// "; all.h5: /latents ends before its source src-3.h5, which is missing" for a virtual dataset of numbered
  /// sources, which HDF5 ends there; else empty.
  std::string why_it_ends() const;
  /// Of the first dimension, that HDF5 reads and decodes together; 0: not stored in chunks, any row is read alone.
  std::int64_t chunk_rows() const;
  bool is_float() const;
  bool is_integer() const;  ///< an enumeration counts as one

  /// The whole dataset; `out` holds element_count(shape()) values. Error, here and below, also where a file that the
  /// values come from has gone or was written to since the dataset was opened.
  template <class T>
  void read(T* out) const {
    read_rows(0, -1, out, native_type<T>());
  }
  /// Rows [first, first + count) of the first dimension.
  template <class T>
  void read_rows(std::int64_t first, std::int64_t count, T* out) const {
    read_rows(first, count, out, native_type<T>());
  }
  template <class T>
  void write(const T* values) {
    write(values, native_type<T>());
  }
  /// Grows an extendible dataset by `count` rows that follow row `rows` (its present length).
  void append(std::int64_t rows, std::int64_t count, const void* values, hid_t memory_type);

  void read_rows(std::int64_t first, std::int64_t count, void* out, hid_t memory_type) const;
  void write(const void* values, hid_t memory_type);

 private:
  friend class File;
  Handle id_;
  std::string name_;
  std::shared_ptr<const Storage> storage_;  ///< of a dataset that was opened, not created
};

/// What an extendible dataset's unwritten elements hold, and how it is cut into chunks.
struct Extendible {
  std::int64_t chunk_rows = 512;
  const void* fill = nullptr;  ///< one element of the dataset's type; null: zero
};

class File {
 public:
  /// A new file; Error where it exists. Format of HDF5 1.10 ("latest") where `swmr`, else of 1.8, which any
  /// tool reads. File locks are used where the file system has them.
  static File create(const std::filesystem::path& file, bool swmr = false, const std::filesystem::path& shown = {});
  /// Read-only. Error: missing, not HDF5, truncated.
  static File open(const std::filesystem::path& file);
  /// Read-only, also while another process writes it with SWMR, or after that process was killed.
  static File open_growing(const std::filesystem::path& file);

  hid_t id() const { return id_.get(); }
  const std::string& path() const { return path_; }
  int descriptor() const;  ///< the POSIX file descriptor

  bool has(const std::string& object) const;
  std::vector<std::string> names(const std::string& group) const;  ///< links in a group, by name
  /// Error where there is none, or a part of it would come from HDF5's fill value instead of data (hdf5_storage.h).
  Dataset dataset(const std::string& name) const;

  void create_group(const std::string& name);
  Dataset create_dataset(const std::string& name, const Shape& shape, hid_t file_type);
  template <class T>
  Dataset create_dataset(const std::string& name, const Shape& shape) {
    return create_dataset(name, shape, native_type<T>());
  }
  /// (0, row_shape...), growing in its first dimension.
  Dataset create_extendible(const std::string& name, const Shape& row_shape, hid_t file_type,
                            const Extendible& options);
  void hard_link(const std::string& existing, const std::string& name);

  bool has_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> attribute_names(const std::string& object) const;
  template <class T>
  void set_attribute(const std::string& object, const std::string& name, T value) {
    set_attribute(object, name, &value, native_type<T>());
  }
  void set_attribute(const std::string& object, const std::string& name, const std::string& value);
  void set_attribute(const std::string& object, const std::string& name, const char* value);
  void set_attribute(const std::string& object, const std::string& name, const std::vector<std::string>& values);
  template <class T>
  T attribute(const std::string& object, const std::string& name) const {
    T value;
    read_attribute(object, name, &value, native_type<T>());
    return value;
  }
  std::string text_attribute(const std::string& object, const std::string& name) const;
  std::vector<std::string> text_list_attribute(const std::string& object, const std::string& name) const;

  /// Makes sure that `bytes` more can be written behind the present end of the file; Error (no_space)
  /// otherwise. HDF5 1.10 cannot close a file once a write of its caches has failed, so space is taken before
  /// it writes.
  void reserve(std::int64_t bytes);
  void start_swmr();
  void flush();
  /// Throws where the destructor would swallow the error. Datasets of the file must be gone.
  void close();

 private:
  friend class PendingFile;
  enum class Use { write, read, read_growing };
  File(Handle id, std::string path, Use use) : id_(std::move(id)), path_(path), location_(std::move(path)), use_(use) {}
  void set_attribute(const std::string& object, const std::string& name, const void* value, hid_t type);
  void read_attribute(const std::string& object, const std::string& name, void* value, hid_t type) const;

  Handle id_;
  std::string path_;                ///< as messages name it
  std::filesystem::path location_;  ///< where it is: differs while a PendingFile has its temporary name
  Use use_;
  std::int64_t reserved_end_ = 0;  ///< bytes of the file that the disk is known to have room for
};

}  // namespace gpumonth::hdf5
