#include "trainer/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace gpumonth::trainer {
namespace {

constexpr double kLiveInterval_s = 0.2;

/// Open MPI gives rank 0 a pseudo-terminal even where its own output goes to a file: what counts is the launcher's.
bool output_is_terminal() {
  if (!isatty(STDOUT_FILENO)) return false;
  const char* term = std::getenv("TERM");
  if (!term || std::string(term) == "dumb") return false;
  if (!std::getenv("OMPI_COMM_WORLD_SIZE")) return true;
  std::error_code error;
  const auto output = std::filesystem::read_symlink(fmt::format("/proc/{}/fd/1", getppid()), error).string();
  return !error && (output.starts_with("/dev/pts/") || output.starts_with("/dev/tty"));
}

std::string duration(double seconds) {
  const auto s = static_cast<long>(seconds + 0.5);
  if (s < 100) return fmt::format("{} s", s);
  if (s < 6000) return fmt::format("{}:{:02} min", s / 60, s % 60);
  return fmt::format("{}:{:02} h", s / 3600, s / 60 % 60);
}

}  // namespace

Progress::Progress(std::int64_t last_step, double interval_s, double peak_flops_per_s, const char* peak_name)
    : last_step_(last_step),
      interval_s_(interval_s),
      peak_flops_per_s_(peak_flops_per_s),
      peak_name_(peak_name),
      terminal_(output_is_terminal()) {}

Progress::~Progress() {
  if (line_open_) fmt::print("\n");
}

void Progress::step(const runlog::StepRecord& record) {
  ++steps_;
  time_s_ += record.step_time_s;
  exposed_s_ += record.exposed_comm_s;
  const double now_s = record.start_time_s + record.step_time_s;
  const bool last = record.step == last_step_;
  const double wait_s = terminal_ ? kLiveInterval_s : interval_s_;
  if (!last && last_print_s_ > 0 && now_s - last_print_s_ < wait_s) return;
  print(record, time_s_ / static_cast<double>(steps_), exposed_s_ / time_s_);
  last_print_s_ = now_s;
  steps_ = 0;
  time_s_ = exposed_s_ = 0;
}

void Progress::print(const runlog::StepRecord& r, double step_time_s, double exposed) {
  const double flops_per_s = r.model_flops / step_time_s;
  std::string line = fmt::format("step {}/{}  loss {:.4f}  {:.1f} ms/step  {:.2f} samples/s  {:.1f} GFLOP/s", r.step,
                                 last_step_, r.loss, step_time_s * 1e3,
                                 static_cast<double>(r.samples) / step_time_s, flops_per_s / 1e9);
  if (std::isfinite(peak_flops_per_s_))
    line += fmt::format("  {:.1f} % {}", 100 * flops_per_s / peak_flops_per_s_, peak_name_);
  line += fmt::format("  exposed comm {:.1f} %  ETA {}", 100 * exposed,
                      duration(static_cast<double>(last_step_ - r.step) * step_time_s));
  if (terminal_) {
    fmt::print("\r{}\x1b[K", line);
    line_open_ = true;
  } else {
    fmt::print("{}\n", line);
  }
  std::fflush(stdout);
}

}  // namespace gpumonth::trainer
