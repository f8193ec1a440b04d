#include "base/standard_output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#include "base/clean_text.h"
#include "base/error.h"

namespace gpumonth {
namespace {

constexpr std::size_t kPiece = 16 << 10;  // bytes

bool is_closed(int descriptor) { return fcntl(descriptor, F_GETFD) < 0 && errno == EBADF; }

/// What is not written yet, and why something never was. Not stdio: after an error nobody knows what of its
/// buffer is left, and a descriptor that does not block (a terminal shared with ssh) is an error to it.
struct Output {
  std::mutex mutex;
  std::string pending;
  int first_error = 0;

  void append(std::string_view text) {
    const std::lock_guard lock(mutex);
    pending += text;
    if (pending.size() >= kPiece || isatty(STDOUT_FILENO)) flush();
  }

  void flush() {
    for (std::size_t done = 0; done < pending.size();) {
      const ssize_t count = ::write(STDOUT_FILENO, pending.data() + done, pending.size() - done);
      if (count >= 0) {
        done += static_cast<std::size_t>(count);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        pollfd ready{STDOUT_FILENO, POLLOUT, 0};
        poll(&ready, 1, -1);
      } else if (errno != EINTR) {
        if (first_error == 0) first_error = errno;
        break;  // this text is lost; later text is tried again
      }
    }
    pending.clear();
  }
};

/// Never destroyed: the watchdog's thread may end the process while main is leaving.
Output& output() {
  static Output& instance = *new Output;
  return instance;
}

}  // namespace

void open_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (!is_closed(descriptor)) continue;
    // open() takes the lowest free number, and those below are open by now
    if (open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) != descriptor) std::abort();
  }
  for (const int signal : {SIGPIPE, SIGXFSZ}) std::signal(signal, SIG_IGN);
}

void write_output(std::string_view text) { output().append(clean_text(text)); }
void write_output_raw(std::string_view text) { output().append(text); }

void flush_output() {
  Output& out = output();
  const std::lock_guard lock(out.mutex);
  out.flush();
}

bool output_is_ready() {
  pollfd ready{STDOUT_FILENO, POLLOUT, 0};
  return poll(&ready, 1, 0) > 0;  // an error is ready too: the write will tell
}

void require_output() {
  flush_output();
  if (const int error = output().first_error)
    user_error(
        "standard output could not be written ({}): text is missing there, files that were to be written are whole; "
        "free space, or let its reader read to the end",
        std::strerror(error));
}

}  // namespace gpumonth
