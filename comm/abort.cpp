#include "comm/abort.h"

#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "base/clean_text.h"
#include "comm/mpi_state.h"

namespace gpumonth::comm {

std::string rank_prefix() {
  if (!mpi_is_running()) return "";
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  return fmt::format("[rank {}/{} {}] ", rank, size, host);
}

namespace {

void run_for_at_most_2_s(const std::function<void()>& work) {
  const auto done = std::make_shared<std::atomic<bool>>(false);
  std::thread([work, done] {
    work();
    *done = true;
  }).detach();
  for (int tries = 0; tries < 200 && !*done; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

}  // namespace

void abort_job(const std::string& line, int exit_code, const std::function<void()>& release) {
  static std::atomic<bool> aborting{false};
  if (!aborting.exchange(true)) {
    const std::string text = clean_line(line) + "\n";
    // write(2): other threads may hold stdio's lock for ever
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (release) run_for_at_most_2_s(release);
    if (mpi_is_running()) {
      std::thread([exit_code] { MPI_Abort(MPI_COMM_WORLD, exit_code); }).detach();
      std::this_thread::sleep_for(std::chrono::seconds(3));
    }
    _exit(exit_code);
  }
  for (;;) pause();  // another thread is ending this process
}

}  // namespace gpumonth::comm
