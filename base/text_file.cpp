#include "base/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

#include "base/clean_text.h"
#include "base/error.h"

namespace gpumonth {
namespace {

namespace fs = std::filesystem;

/// Nothing where it cannot be opened or read to its end; errno says why.
std::optional<std::string> whole_file(const fs::path& file) {
  const auto close = [](std::FILE* open) {
    const int error = errno;
    std::fclose(open);
    errno = error;
  };
  const std::unique_ptr<std::FILE, decltype(close)> in(std::fopen(file.c_str(), "rb"), close);
  if (!in) return std::nullopt;
  std::string bytes;
  char part[1 << 16];
  while (const std::size_t count = std::fread(part, 1, sizeof part, in.get())) bytes.append(part, count);
  if (std::ferror(in.get())) return std::nullopt;
  return bytes;
}

/// The temporary file: open, and removed at the end of the scope unless renamed.
class Temporary {
 public:
  explicit Temporary(const fs::path& target) : target_(target), path_(target) {
    path_.replace_filename(fmt::format(".{}.{}.tmp", target.filename().string(), getpid()));
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail("make it writable or choose another output");
  }
  ~Temporary() {
    if (descriptor_ >= 0) close(descriptor_);
    if (!path_.empty()) unlink(path_.c_str());
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  void write(const std::string& text) {
    for (std::size_t done = 0; done < text.size();) {
      const ssize_t count = ::write(descriptor_, text.data() + done, text.size() - done);
      if (count < 0 && errno != EINTR) fail("free space, or choose another output");
      if (count > 0) done += static_cast<std::size_t>(count);
    }
    if (fsync(descriptor_) != 0) fail("free space, or choose another output");
  }

  void publish() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (close(descriptor) != 0) fail("free space, or choose another output");
    if (rename(path_.c_str(), target_.c_str()) != 0) fail("choose another output");
    path_.clear();
  }

 private:
  [[noreturn]] void fail(const char* advice) {
    user_error("{}: cannot be written ({}): {}", target_.string(), std::strerror(errno), advice);
  }

  fs::path target_, path_;
  int descriptor_ = -1;
};

/// A terminal, a pipe, /dev/null, /dev/stdout: something that text goes into, and that nothing may take the place of.
bool is_stream(const fs::path& file) {
  std::error_code ignored;
  const fs::file_status status = fs::status(file, ignored);
  const fs::path folder = file.parent_path();
  const bool descriptor = fs::exists(status) && (folder == "/dev" || folder == "/dev/fd" || folder == "/proc/self/fd");
  return descriptor || status.type() == fs::file_type::character || status.type() == fs::file_type::fifo;
}

void write_to_stream(const fs::path& file, const std::string& text) {
  std::FILE* stream = std::fopen(file.c_str(), "ae");
  const bool written = stream && std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  const bool closed = stream && std::fclose(stream) == 0;
  if (!written || !closed)
    user_error("{}: cannot be written ({}): choose another output", file.string(), std::strerror(errno));
}

}  // namespace

void check_output(const fs::path& file, bool force) {
  if (is_stream(file)) return;
  std::error_code ignored;
  if (file.filename().empty() || fs::is_directory(file, ignored))
    user_error("{}: is a folder: name a file in it", file.string());
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!fs::is_directory(folder, ignored))
    user_error("{}: the folder {} does not exist: make it or choose another output", file.string(), folder.string());
  if (!force && fs::exists(fs::symlink_status(file, ignored)))
    user_error("{}: exists already: choose another output, or overwrite it with --force", file.string());
}

void write_bytes_file(const fs::path& file, const std::string& bytes, bool force) {
  check_output(file, force);
  if (is_stream(file)) return write_to_stream(file, bytes);
  Temporary temporary(file);
  temporary.write(bytes);
  temporary.publish();
}

void write_text_file(const fs::path& file, const std::string& text, bool force) {
  write_bytes_file(file, clean_text(text), force);
}

std::string read_bytes(const fs::path& file, const std::string& prefix) {
  std::error_code error;
  if (fs::is_directory(file, error)) user_error("{}{}: is a folder, not a file", prefix, file.string());
  auto bytes = whole_file(file);
  if (!bytes) user_error("{}{}: cannot be read: {}", prefix, file.string(), std::strerror(errno));
  return std::move(*bytes);
}

std::string bytes_of_file(const fs::path& file) { return whole_file(file).value_or(""); }

}  // namespace gpumonth
