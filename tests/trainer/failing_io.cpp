// LD_PRELOAD: calls that write below one folder are counted, and the one that is asked for fails.
//
//   GPUMONTH_FAILING_IO_BELOW   the folder; other files are left alone
//   GPUMONTH_FAILING_IO_COUNT   a file of 8 bytes: an int64 with the number of such calls so far, of all processes
//   GPUMONTH_FAILING_IO_AT      the first call is 1; 0: none fails
//   GPUMONTH_FAILING_IO_HOW     full:  this call and all later ones that need space get ENOSPC, as on a full disk
//                               error: this call alone gets EIO, as from a disk or a network file system that hiccups
//                               short: this call writes half of its bytes, which POSIX allows; all later ones succeed
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

std::string variable(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? "" : value;
}

enum class How { full, error, short_write };

struct Plan {
  Plan() {
    const std::string how = variable("GPUMONTH_FAILING_IO_HOW");
    kind = how == "error" ? How::error : how == "short" ? How::short_write : How::full;
    const auto descriptor =
        static_cast<int>(::syscall(SYS_openat, AT_FDCWD, variable("GPUMONTH_FAILING_IO_COUNT").c_str(), O_RDWR));
    if (descriptor < 0) return;
    void* memory = ::mmap(nullptr, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (memory != MAP_FAILED) count = static_cast<std::atomic<std::int64_t>*>(memory);
    ::close(descriptor);
  }
  std::string below = variable("GPUMONTH_FAILING_IO_BELOW");
  std::int64_t at = std::atoll(variable("GPUMONTH_FAILING_IO_AT").c_str());
  How kind = How::full;
  std::atomic<std::int64_t>* count = nullptr;
};

const Plan& plan() {
  static const Plan the_plan;
  return the_plan;
}

bool is_ours(const std::string& path) { return plan().count != nullptr && path.starts_with(plan().below); }

bool is_ours(int descriptor) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
  return length > 0 && is_ours(std::string(path, static_cast<std::size_t>(length)));
}

enum class Fate { none, fails, halved };

/// Counts a call on our files; sets errno where it is to fail. `needs_space`: a full disk stops it.
Fate fate(bool needs_space, bool can_be_short = false) {
  const std::int64_t number = ++*plan().count;
  if (plan().at == 0) return Fate::none;
  switch (plan().kind) {
    case How::full:
      if (number < plan().at || !needs_space) return Fate::none;
      errno = ENOSPC;
      return Fate::fails;
    case How::error:
      if (number != plan().at) return Fate::none;
      errno = EIO;
      return Fate::fails;
    case How::short_write: return number == plan().at && can_be_short ? Fate::halved : Fate::none;
  }
  return Fate::none;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::size_t half(std::size_t bytes) { return std::max<std::size_t>(1, bytes / 2); }

bool grows(int descriptor, off_t length) {
  struct stat now {};
  return ::fstat(descriptor, &now) == 0 && length > now.st_size;
}

template <class Open>
int open_or_fail(Open* open, const char* path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0 && is_ours(std::string(path)) && fate(true) == Fate::fails) return -1;
  return open(path, flags, mode);
}

}  // namespace

#define REAL(name) static auto* const real = next<decltype(::name)>(#name)

extern "C" {

ssize_t write(int descriptor, const void* data, std::size_t bytes) {
  REAL(write);
  if (!is_ours(descriptor)) return real(descriptor, data, bytes);
  const Fate f = fate(true, true);
  return f == Fate::fails ? -1 : real(descriptor, data, f == Fate::halved ? half(bytes) : bytes);
}

ssize_t pwrite(int descriptor, const void* data, std::size_t bytes, off_t offset) {
  REAL(pwrite);
  if (!is_ours(descriptor)) return real(descriptor, data, bytes, offset);
  const Fate f = fate(true, true);
  return f == Fate::fails ? -1 : real(descriptor, data, f == Fate::halved ? half(bytes) : bytes, offset);
}

ssize_t pwrite64(int descriptor, const void* data, std::size_t bytes, off_t offset) {
  return pwrite(descriptor, data, bytes, offset);
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  REAL(writev);
  return is_ours(descriptor) && fate(true) == Fate::fails ? -1 : real(descriptor, parts, count);
}

int open(const char* path, int flags, ...) {
  REAL(open);
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_or_fail(real, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  REAL(open64);
  va_list arguments;
  va_start(arguments, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return open_or_fail(real, path, flags, mode);
}

int ftruncate(int descriptor, off_t length) noexcept {
  REAL(ftruncate);
  return is_ours(descriptor) && fate(grows(descriptor, length)) == Fate::fails ? -1 : real(descriptor, length);
}

int ftruncate64(int descriptor, off_t length) noexcept { return ftruncate(descriptor, length); }

int truncate(const char* path, off_t length) noexcept {
  REAL(truncate);
  return is_ours(std::string(path)) && fate(false) == Fate::fails ? -1 : real(path, length);
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
  REAL(fallocate);
  return is_ours(descriptor) && fate(true) == Fate::fails ? -1 : real(descriptor, mode, offset, length);
}

int fsync(int descriptor) {
  REAL(fsync);
  return is_ours(descriptor) && fate(true) == Fate::fails ? -1 : real(descriptor);
}

int fdatasync(int descriptor) {
  REAL(fdatasync);
  return is_ours(descriptor) && fate(true) == Fate::fails ? -1 : real(descriptor);
}

int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return is_ours(std::string(to)) && fate(true) == Fate::fails ? -1 : real(from, to);
}

int link(const char* from, const char* to) noexcept {
  REAL(link);
  return is_ours(std::string(to)) && fate(true) == Fate::fails ? -1 : real(from, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  REAL(mkdir);
  return is_ours(std::string(path)) && fate(true) == Fate::fails ? -1 : real(path, mode);
}

}  // extern "C"
