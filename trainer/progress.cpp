#include "trainer/progress.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "base/standard_output.h"

namespace gpumonth::trainer {
namespace {

constexpr double kLiveInterval_s = 0.2;
constexpr const char* kBetween = "  ";  // parts of a line

/// The terminal that standard output ends on; -1: none. Open MPI gives rank 0 a pseudo-terminal even where its own
/// output goes to a file, and does not pass a change of size on: what counts is the launcher's.
int open_terminal() {
  if (!isatty(STDOUT_FILENO)) return -1;
  const char* term = std::getenv("TERM");
  if (!term || std::string(term) == "dumb") return -1;
  if (!std::getenv("OMPI_COMM_WORLD_SIZE")) return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  std::error_code error;
  const std::string launchers = fmt::format("/proc/{}/fd/1", getppid());
  const std::string output = std::filesystem::read_symlink(launchers, error).string();
  if (error || !(output.starts_with("/dev/pts/") || output.starts_with("/dev/tty"))) return -1;
  return open(launchers.c_str(), O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
}

std::size_t columns_of(int terminal) {
  winsize size = {};
  return ioctl(terminal, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string duration(double seconds) {
  const auto s = static_cast<long>(seconds + 0.5);
  if (s < 100) return fmt::format("{} s", s);
  if (s < 6000) return fmt::format("{}:{:02} min", s / 60, s % 60);
  return fmt::format("{}:{:02} h", s / 3600, s / 60 % 60);
}

}  // namespace

std::string fitted_line(const std::vector<std::string>& parts, std::size_t columns) {
  const std::size_t room =
      std::max<std::size_t>(columns, 2) - 1;  // the last column stays free: some terminals wrap there
  std::string line;
  for (const std::string& part : parts) {
    const std::string longer = line.empty() ? part : line + kBetween + part;
    if (longer.size() > room) break;
    line = longer;
  }
  return line.empty() && !parts.empty() ? parts.front().substr(0, room) : line;
}

Progress::Progress(std::int64_t last_step, double interval_s, double peak_flops_per_s, const char* peak_name)
    : last_step_(last_step), interval_s_(interval_s), peak_flops_per_s_(peak_flops_per_s), peak_name_(peak_name),
      terminal_(open_terminal()) {}

Progress::~Progress() {
  if (line_open_) write_output("\n");
  if (terminal_ >= 0) close(terminal_);
}

void Progress::step(const runlog::StepRecord& record) {
  ++steps_;
  time_s_ += record.step_time_s;
  exposed_s_ += record.exposed_comm_s;
  const double now_s = record.start_time_s + record.step_time_s;
  const bool last = record.step == last_step_;
  const double wait_s = terminal_ >= 0 ? kLiveInterval_s : interval_s_;
  if (!last && last_print_s_ > 0 && now_s - last_print_s_ < wait_s) return;
  show(record, time_s_ / static_cast<double>(steps_), exposed_s_ / time_s_);
  last_print_s_ = now_s;
  steps_ = 0;
  time_s_ = exposed_s_ = 0;
}

void Progress::show(const runlog::StepRecord& r, double step_time_s, double exposed) {
  if (!output_is_ready()) return;  // whoever reads this has stopped: training goes on
  const double flops_per_s = r.model_flops / step_time_s;
  std::vector<std::string> parts = {fmt::format("step {}/{}", r.step, last_step_), fmt::format("loss {:.4f}", r.loss),
                                    fmt::format("{:.1f} ms/step", step_time_s * 1e3),
                                    fmt::format("{:.2f} samples/s", static_cast<double>(r.samples) / step_time_s),
                                    fmt::format("{:.1f} GFLOP/s", flops_per_s / 1e9)};
  if (std::isfinite(peak_flops_per_s_))
    parts.push_back(fmt::format("{:.1f} % {}", 100 * flops_per_s / peak_flops_per_s_, peak_name_));
  parts.push_back(fmt::format("exposed comm {:.1f} %", 100 * exposed));
  parts.push_back("ETA " + duration(static_cast<double>(last_step_ - r.step) * step_time_s));
  if (terminal_ >= 0) {
    std::rotate(parts.begin() + 2, parts.end() - 1, parts.end());  // the ETA is the last that may be dropped
    write_output_raw("\r" + fitted_line(parts, columns_of(terminal_)) + "\x1b[K");
    line_open_ = true;
  } else {
    write_output(fmt::format("{}\n", fmt::join(parts, kBetween)));
  }
  flush_output();
}

}  // namespace gpumonth::trainer
