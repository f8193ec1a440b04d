#include "trainer/shared_cores.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <semaphore>
#include <thread>

namespace gpumonth::trainer {
namespace {

constexpr double kLookEvery_s = 0.25;
// Another program on a core takes half of it, a third where threads sleep; a daemon now and then less than a percent.
constexpr double kSharedAbove = 0.05, kAloneBelow = 0.01;
// Each way is tried for a second, some ten steps or more, and the faster kept for ten: the kernel moves threads about.
constexpr double kTry_s = 1, kKeep_s = 10;

/// How long each thread of this process has waited for a core, ns (the second number of schedstat).
std::map<int, std::uint64_t> waited_ns() {
  std::map<int, std::uint64_t> waited;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    std::uint64_t ran = 0, ready = 0;
    if (std::ifstream(task.path() / "schedstat") >> ran >> ready) waited[std::stoi(task.path().filename())] = ready;
  }
  return waited;
}

}  // namespace

double largest_wait_share(const std::map<int, std::uint64_t>& before, const std::map<int, std::uint64_t>& after,
                          double elapsed_s) {
  double largest = 0;
  for (const auto& [thread, ns] : after)
    if (const auto at = before.find(thread); at != before.end())
      largest = std::max(largest, 1e-9 * static_cast<double>(ns - at->second) / elapsed_s);
  return largest;
}

bool WaitChoice::next(double share, double step_s, double elapsed_s) {
  if (share < kAloneBelow) *this = WaitChoice();
  if (!shared_) {
    shared_ = share > kSharedAbove;
    return false;
  }
  period_s_ += elapsed_s;
  steps_ += elapsed_s / step_s;
  const bool kept = !trial_ && step_s_[!sleep_] > 0;  // both ways are known
  if (period_s_ < (kept ? kKeep_s : kTry_s)) return sleep_;
  step_s_[sleep_] = period_s_ / steps_;
  trial_ = !trial_;
  if (trial_ || step_s_[!sleep_] < step_s_[sleep_]) sleep_ = !sleep_;
  period_s_ = steps_ = 0;
  return sleep_;
}

/// Enough sleeping OpenMP threads that libgomp counts more than there are cores. They belong to a thread of their own,
/// and end with it.
class SharedCores::ExtraTeam {
 public:
  explicit ExtraTeam(int threads)
      : owner_([this, threads] {
#pragma omp parallel num_threads(threads)
          { made_ = true; }
          end_.acquire();
        }) {
  }
  ~ExtraTeam() {
    end_.release();
    owner_.join();
  }

 private:
  std::atomic<bool> made_{false};
  std::binary_semaphore end_{0};
  std::thread owner_;  // last: it uses the others
};

SharedCores::SharedCores(int threads) : threads_(threads), looked_(Clock::now()), waited_ns_(waited_ns()) {
  const bool decided = std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT");
  const bool crowded = threads > omp_get_num_procs();  // libgomp knows that by itself
  if (decided || crowded) threads_ = 1;
}

SharedCores::~SharedCores() = default;

void SharedCores::look() {
  if (threads_ <= 1) return;
  ++steps_;
  const auto now = Clock::now();
  const double elapsed_s = std::chrono::duration<double>(now - looked_).count();
  if (elapsed_s < kLookEvery_s) return;
  std::map<int, std::uint64_t> waited = waited_ns();
  const double share = largest_wait_share(waited_ns_, waited, elapsed_s);
  if (!choice_.next(share, elapsed_s / steps_, elapsed_s))
    extra_team_.reset();
  else if (!extra_team_)
    extra_team_ = std::make_unique<ExtraTeam>(std::max(2, omp_get_num_procs() - threads_ + 2));
  waited_ns_ = std::move(waited);
  looked_ = now;
  steps_ = 0;
}

}  // namespace gpumonth::trainer
