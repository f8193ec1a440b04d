#include "simulate/child_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>

namespace gpumonth::simulate {
namespace {

constexpr char kValues = 'v', kError = 'e';  // the first byte says what follows

bool write_all(int fd, const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = write(fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

std::string read_all(int fd) {
  std::string all;
  char buffer[65536];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return all;
    all.append(buffer, static_cast<std::size_t>(got));
  }
}

[[noreturn]] void be_child(int fd, const std::function<std::vector<double>()>& work) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  bool written = false;
  try {
    const std::vector<double> values = work();
    written = write_all(fd, &kValues, 1) && write_all(fd, values.data(), values.size() * sizeof(double));
  } catch (const std::exception& error) {
    written = write_all(fd, &kError, 1) && write_all(fd, error.what(), std::strlen(error.what()));
  }
  _exit(written ? 0 : 1);  // what the parent has in its buffers is the parent's to write
}

}  // namespace

ChildResult run_in_child(const std::function<std::vector<double>()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error(fmt::format("pipe: {}", std::strerror(errno)));
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    throw std::runtime_error(fmt::format("fork: {}", std::strerror(errno)));
  }
  if (child == 0) {
    close(ends[0]);
    be_child(ends[1], work);
  }
  close(ends[1]);
  const std::string said = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) continue;
  if (!said.empty() && said[0] == kError) throw std::runtime_error(said.substr(1));
  if (WIFSIGNALED(status))
    throw std::runtime_error(fmt::format("the process that simulates was ended by signal {} ({}){}", WTERMSIG(status),
                                         strsignal(WTERMSIG(status)),
                                         WTERMSIG(status) == SIGKILL ? ": was there enough memory?" : ""));
  if (said.empty() || said[0] != kValues || (said.size() - 1) % sizeof(double) != 0 || status != 0)
    throw std::runtime_error(fmt::format("the process that simulates ended with status {}", status));
  ChildResult result;
  result.values.resize((said.size() - 1) / sizeof(double));
  std::memcpy(result.values.data(), said.data() + 1, said.size() - 1);
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.peak_bytes = std::int64_t{usage.ru_maxrss} * 1024;
  return result;
}

}  // namespace gpumonth::simulate
