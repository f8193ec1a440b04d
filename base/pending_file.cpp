#include "base/pending_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace gpumonth::hdf5 {

namespace {

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

std::filesystem::path temporary_name(const std::filesystem::path& target) {
  return folder_of(target) / fmt::format(".{}.{}.tmp", target.filename().string(), ::getpid());
}

void refuse_existing(const std::filesystem::path& target) {
  user_error("{}: exists already; remove it or choose another output", target.string());
}

File create_temporary(const std::filesystem::path& target, PendingFile::Existing existing, bool swmr,
                      const std::filesystem::path& temporary) {
  std::error_code error;
  if (std::filesystem::is_directory(target, error)) {
    user_error("{}: is a folder; name a file", target.string());
  }
  if (existing == PendingFile::Existing::refuse && std::filesystem::exists(target, error)) refuse_existing(target);
  if (!std::filesystem::is_directory(folder_of(target), error)) {
    user_error("cannot write {}: there is no folder {}", target.string(), folder_of(target).string());
  }
  if (::access(folder_of(target).c_str(), W_OK) != 0) fail("cannot write " + target.string(), errno);
  // Left by a process of the same number that was killed.
  std::filesystem::remove(temporary, error);
  try {
    return File::create(temporary, swmr, target);
  } catch (const Error&) {  // HDF5 leaves the file where its first write fails
    std::filesystem::remove(temporary, error);
    throw;
  }
}

/// Waits until the disk has it: a rename that survives a power cut must not name an empty file.
void sync(const std::filesystem::path& path, const std::string& name) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(name + ": cannot sync", errno);
  const int status = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  // Some file systems cannot sync a folder: EINVAL.
  if (status != 0 && reason != EINVAL) fail(name + ": cannot sync", reason);
}

}  // namespace

PendingFile::PendingFile(std::filesystem::path target, Existing existing, bool swmr)
    : target_(std::move(target)), temporary_(temporary_name(target_)), existing_(existing),
      file_(create_temporary(target_, existing_, swmr, temporary_)) {}

PendingFile::~PendingFile() {
  if (done_) return;
  // Emptied first: after a failed write HDF5 can close the file only where its caches find room again.
  if (file_.id_) {
    std::error_code ignored;
    std::filesystem::resize_file(temporary_, 0, ignored);
    file_.id_.reset();
  }
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void PendingFile::rename() {
  if (existing_ == Existing::refuse) {
    // link(), unlike rename(), never replaces what another process made meanwhile.
    if (::link(temporary_.c_str(), target_.c_str()) == 0) {
      ::unlink(temporary_.c_str());
      file_.location_ = target_;
      return;
    }
    if (errno == EEXIST || std::filesystem::exists(target_)) refuse_existing(target_);
  }
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot write " + target_.string(), errno);
  file_.location_ = target_;
}

void PendingFile::commit() {
  file_.close();
  sync(temporary_, target_.string());
  rename();
  done_ = true;
  sync(folder_of(target_), folder_of(target_).string());
}

void PendingFile::publish() {
  rename();
  done_ = true;
}

}  // namespace gpumonth::hdf5
