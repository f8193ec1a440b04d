#include "base/hdf5.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/hdf5/storage.h"

namespace gpumonth::hdf5 {

namespace {

struct Reason {
  std::string text;      ///< the innermost message
  int system_errno = 0;  ///< from "errno = 28" in any of the messages
};

herr_t collect_reason(unsigned level, const H5E_error2_t* error, void* data) {
  auto& reason = *static_cast<Reason*>(data);
  const std::string text = error->desc ? error->desc : "";
  if (level == 0) reason.text = text;
  if (const auto at = text.find("errno = "); at != std::string::npos && reason.system_errno == 0) {
    reason.system_errno = std::atoi(text.c_str() + at + 8);
  }
  return 0;
}

bool is_no_space(int system_errno) { return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG; }

std::string lower_first(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return text;
}

/// HDF5 prints no errors of its own, and does not try at exit to close what an error left open: with a full
/// disk that would fail for ever.
void initialise() {
  static const bool done = [] {
    // HDF5 opens the sources of virtual datasets itself, with locks, and where a file system has none it gives the fill
    // value. The variable is read once, by H5open().
    ::setenv("HDF5_USE_FILE_LOCKING", "FALSE", 0);
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return true;
  }();
  static_cast<void>(done);
  // The default error stack belongs to the thread in a thread-safe build, so each thread turns it off.
  thread_local const bool quiet = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  static_cast<void>(quiet);
}

Handle make_space(const Shape& shape, const std::string& what) {
  const auto dims = dimensions(shape);
  Handle space(
      shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
      H5Sclose);
  if (!space) fail(what);
  return space;
}

Handle property_list(hid_t cls) {
  initialise();
  Handle list(H5Pcreate(cls), H5Pclose);
  if (!list) fail("H5Pcreate");
  return list;
}

/// Without file locks, which some file systems lack: files are created exclusively and read when whole, or SWMR.
Handle file_access() {
  Handle access = property_list(H5P_FILE_ACCESS);
  H5Pset_file_locking(access.get(), false, true);
  return access;
}

std::string quoted_system_error(int system_errno) { return lower_first(std::strerror(system_errno)); }

}  // namespace

std::string library_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string to_string(const Shape& shape) { return fmt::format("({})", fmt::join(shape, ", ")); }

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  bool too_many = false;
  for (const std::int64_t extent : shape) {
    if (extent == 0) return 0;
    too_many = __builtin_mul_overflow(count, extent, &count) || too_many;
  }
  return too_many ? std::numeric_limits<std::int64_t>::max() : count;
}

bool Error::no_space() const { return is_no_space(system_errno); }

void fail(const std::string& what, int system_errno) {
  Reason reason{"", system_errno};
  if (system_errno == 0) H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect_reason, &reason);
  H5Eclear2(H5E_DEFAULT);
  if (is_no_space(reason.system_errno)) {
    const std::string why = reason.system_errno == ENOSPC ? "" : " (" + quoted_system_error(reason.system_errno) + ")";
    throw Error(fmt::format("{}: no space left on device{}; free some or write elsewhere", what, why),
                reason.system_errno);
  }
  if (reason.system_errno != 0) reason.text = quoted_system_error(reason.system_errno);
  if (reason.system_errno == EIO) reason.text += "; the disk or network file system failed: try again, or elsewhere";
  // One line, whatever the library put into its message.
  std::replace(reason.text.begin(), reason.text.end(), '\n', ' ');
  throw Error(reason.text.empty() ? what : what + ": " + reason.text, reason.system_errno);
}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, -1);
    closer_ = other.closer_;
  }
  return *this;
}

void Handle::reset() noexcept {
  if (id_ < 0) return;
  closer_(std::exchange(id_, -1));
}

#define GPUMONTH_NATIVE_TYPE(T, H5TYPE) \
  template <>                           \
  hid_t native_type<T>() {              \
    initialise();                       \
    return H5TYPE;                      \
  }
GPUMONTH_NATIVE_TYPE(float, H5T_NATIVE_FLOAT)
GPUMONTH_NATIVE_TYPE(double, H5T_NATIVE_DOUBLE)
GPUMONTH_NATIVE_TYPE(std::int8_t, H5T_NATIVE_INT8)
GPUMONTH_NATIVE_TYPE(std::uint8_t, H5T_NATIVE_UINT8)
GPUMONTH_NATIVE_TYPE(std::int16_t, H5T_NATIVE_INT16)
GPUMONTH_NATIVE_TYPE(std::uint16_t, H5T_NATIVE_UINT16)
GPUMONTH_NATIVE_TYPE(std::int32_t, H5T_NATIVE_INT32)
GPUMONTH_NATIVE_TYPE(std::uint32_t, H5T_NATIVE_UINT32)
GPUMONTH_NATIVE_TYPE(std::int64_t, H5T_NATIVE_INT64)
GPUMONTH_NATIVE_TYPE(std::uint64_t, H5T_NATIVE_UINT64)
#undef GPUMONTH_NATIVE_TYPE

// -------------------------------------------------------------------------------------------------------
// File

namespace {
/// Bytes: divides a page, and holds the largest piece of metadata that SWMR rewrites, a dataset's header.
constexpr hsize_t kMetadataAlignment = 512;
/// HDF5 waits 1, 2, 4, ... ns between attempts to read metadata that a writer may just be changing: 0.1 s in
/// all, where the default of 100 attempts is for ever.
constexpr unsigned kReadAttempts = 26;
}  // namespace

File File::create(const std::filesystem::path& file, bool swmr, const std::filesystem::path& shown) {
  const std::string path = (shown.empty() ? file : shown).string();
  Handle access = file_access();
  // Values go to the file in the call that writes them. Kept back in a dataset's sieve buffer, they would be written
  // when it is closed, and HDF5 1.10 then closes the file as if nothing was wrong where that one write failed.
  H5Pset_sieve_buf_size(access.get(), 0);
  // An explicit upper bound: a newer library must not write what HDF5 1.10 cannot read. SWMR needs 1.10's format.
  const auto low = swmr ? H5F_LIBVER_V110 : H5F_LIBVER_V18;
  H5Pset_libver_bounds(access.get(), low, H5F_LIBVER_V110);
  // A kill can cut a write short where it crosses from one page of memory to the next. No piece of metadata
  // does that: a header half old, half new has a wrong checksum, and readers would wait for the rest of it
  // for ever.
  if (swmr) H5Pset_alignment(access.get(), 1, kMetadataAlignment);
  Handle id(H5Fcreate(file.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, access.get()), H5Fclose);
  if (!id) fail("cannot create " + path);
  File created(std::move(id), path, Use::write);
  created.location_ = file;
  return created;
}

namespace {

void check_openable(const std::filesystem::path& file) {
  initialise();
  std::error_code error;
  if (!std::filesystem::exists(file, error)) user_error("{}: no such file", file.string());
  if (std::filesystem::is_directory(file, error)) user_error("{}: a folder, not an HDF5 file", file.string());
  if (::access(file.c_str(), R_OK) != 0) fail(file.string() + ": cannot open", errno);
  if (const htri_t hdf5 = H5Fis_hdf5(file.c_str()); hdf5 <= 0) {
    H5Eclear2(H5E_DEFAULT);
    user_error("{}: not an HDF5 file", file.string());
  }
}

/// `access` outlives the call: closing it would clear the error stack, which holds the reason of a failure.
Handle try_open(const std::filesystem::path& file, unsigned flags, const Handle& access) {
  return {H5Fopen(file.c_str(), flags, access.get()), H5Fclose};
}

}  // namespace

File File::open(const std::filesystem::path& file) {
  check_openable(file);
  const Handle access = file_access();
  Handle id = try_open(file, H5F_ACC_RDONLY, access);
  if (!id) fail(file.string() + ": cannot open");
  return File(std::move(id), file.string(), Use::read);
}

File File::open_growing(const std::filesystem::path& file) {
  check_openable(file);
  const Handle access = file_access();
  H5Pset_metadata_read_attempts(access.get(), kReadAttempts);
  Handle id = try_open(file, H5F_ACC_RDONLY | H5F_ACC_SWMR_READ, access);
  // A copy that h5repack or another tool wrote in an older format has no SWMR.
  if (!id) id = try_open(file, H5F_ACC_RDONLY, access);
  if (!id) fail(file.string() + ": cannot open");
  return File(std::move(id), file.string(), Use::read_growing);
}

int File::descriptor() const {
  void* descriptor = nullptr;
  if (H5Fget_vfd_handle(id(), H5P_DEFAULT, &descriptor) < 0) fail(path_ + ": no file descriptor");
  return *static_cast<int*>(descriptor);
}

bool File::has(const std::string& object) const {
  // H5Lexists wants every group on the way to exist.
  for (std::size_t slash = object.find('/', 1); slash != std::string::npos; slash = object.find('/', slash + 1)) {
    if (H5Lexists(id(), object.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return object == "/" || H5Lexists(id(), object.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> File::names(const std::string& group) const {
  Handle handle(H5Gopen2(id(), group.c_str(), H5P_DEFAULT), H5Gclose);
  if (!handle) fail(fmt::format("{}: cannot open group {}", path_, group));
  std::vector<std::string> names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* data) -> herr_t {
    static_cast<std::vector<std::string>*>(data)->emplace_back(name);
    return 0;
  };
  if (H5Literate(handle.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0) {
    fail(fmt::format("{}: cannot list {}", path_, group));
  }
  return names;
}

Dataset File::dataset(const std::string& name) const {
  if (!has(name)) user_error("{}: has no dataset {}", path_, name);
  Handle handle(H5Dopen2(id(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!handle) fail(fmt::format("{}: cannot open dataset {}", path_, name));
  Dataset dataset(std::move(handle), path_ + ": " + name);
  if (use_ == Use::read) {
    dataset.storage_ = std::make_shared<Storage>(require_stored(dataset, location_, descriptor()));
  } else if (use_ == Use::read_growing) {
    dataset.storage_ = std::make_shared<Storage>(require_growing(dataset, location_));
  }
  return dataset;
}

void File::create_group(const std::string& name) {
  Handle group(H5Gcreate2(id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (!group) fail(fmt::format("{}: cannot create group {}", path_, name));
}

Dataset File::create_dataset(const std::string& name, const Shape& shape, hid_t file_type) {
  const std::string what = path_ + ": " + name;
  Handle space = make_space(shape, what);
  Handle dataset(H5Dcreate2(id(), name.c_str(), file_type, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                 H5Dclose);
  if (!dataset) fail(what + ": cannot create dataset");
  return Dataset(std::move(dataset), what);
}

Dataset File::create_extendible(const std::string& name, const Shape& row_shape, hid_t file_type,
                                const Extendible& options) {
  const std::string what = path_ + ": " + name;
  std::vector<hsize_t> now = {0}, limit = {H5S_UNLIMITED}, chunk = {static_cast<hsize_t>(options.chunk_rows)};
  for (const auto extent : row_shape) {
    for (auto* dims : {&now, &limit, &chunk}) dims->push_back(static_cast<hsize_t>(extent));
  }
  Handle space(H5Screate_simple(static_cast<int>(now.size()), now.data(), limit.data()), H5Sclose);
  Handle creation = property_list(H5P_DATASET_CREATE);
  if (!space || H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()) < 0 ||
      (options.fill && H5Pset_fill_value(creation.get(), file_type, options.fill) < 0)) {
    fail(what + ": cannot describe dataset");
  }
  Handle dataset(H5Dcreate2(id(), name.c_str(), file_type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                 H5Dclose);
  if (!dataset) fail(what + ": cannot create dataset");
  return Dataset(std::move(dataset), what);
}

void File::hard_link(const std::string& existing, const std::string& name) {
  if (H5Lcreate_hard(id(), existing.c_str(), id(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT) < 0) {
    fail(fmt::format("{}: cannot link {}", path_, name));
  }
}

void File::reserve(std::int64_t bytes) {
  hsize_t end = 0;
  if (H5Fget_filesize(id(), &end) < 0) fail(path_ + ": cannot read its size");
  const auto wanted_end = static_cast<std::int64_t>(end) + bytes;
  if (wanted_end <= reserved_end_) return;
  const std::string what = path_ + ": cannot write";
  if (::fallocate(descriptor(), FALLOC_FL_KEEP_SIZE, static_cast<off_t>(end), bytes) != 0) {
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINTR) fail(what, errno);
    struct statvfs disk {};
    if (::fstatvfs(descriptor(), &disk) == 0 &&
        static_cast<double>(disk.f_bavail) * static_cast<double>(disk.f_frsize) < static_cast<double>(bytes)) {
      fail(what, ENOSPC);
    }
    return;
  }
  reserved_end_ = wanted_end;
}

void File::start_swmr() {
  if (H5Fstart_swmr_write(id()) < 0) fail(path_ + ": cannot start SWMR writing");
}

void File::flush() {
  if (H5Fflush(id(), H5F_SCOPE_LOCAL) < 0) fail(path_ + ": cannot write");
}

void File::close() {
  if (!id_) return;
  if (H5Fclose(id_.release()) < 0) fail(path_ + ": cannot close");
  // Gives back what reserve() took and nobody used: a file cut to the size it has loses the blocks behind it.
  std::error_code error;
  if (const auto size = std::filesystem::file_size(location_, error); reserved_end_ > 0 && !error) {
    std::filesystem::resize_file(location_, size, error);
  }
}

}  // namespace gpumonth::hdf5
