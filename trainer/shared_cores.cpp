#include "trainer/shared_cores.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <semaphore>
#include <span>
#include <thread>
#include <vector>

namespace gpumonth::trainer {
namespace {

constexpr double kLookEvery_s = 0.25;
// Another program on a core takes half of it; a daemon now and then less than a percent.
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

/// The cores that the calling thread may run on.
std::vector<int> allowed_cores() {
  cpu_set_t set;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

void stay_on(std::span<const int> cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  sched_setaffinity(0, sizeof set, &set);  // where it is refused the thread stays where it was
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
  const bool kept = !trial_ && step_s_[!gather_] > 0;  // both ways are known
  if (period_s_ < (kept ? kKeep_s : kTry_s)) return gather_;
  step_s_[gather_] = period_s_ / steps_;
  trial_ = !trial_;
  if (trial_ || step_s_[!gather_] < step_s_[gather_]) gather_ = !gather_;
  period_s_ = steps_ = 0;
  return gather_;
}

/// While it lives, the calling thread's OpenMP threads sleep at once and have one half of the calling thread's cores,
/// chosen anew each time: another job may have chosen too.
class SharedCores::Gathered {
 public:
  explicit Gathered(int threads) : threads_(threads), cores_(allowed_cores()) {
    // Enough sleeping OpenMP threads that libgomp counts more than there are cores. They belong to a thread of their own,
    // and end with it. First of all: they inherit where a thread may run.
    owner_ = std::thread([this] {
#pragma omp parallel num_threads(std::max(2, omp_get_num_procs() - threads_ + 2))
      { made_ = true; }
      end_.acquire();
    });
    const std::size_t half = cores_.size() / 2;
    if (half > 0) move(std::span(cores_).subspan(std::random_device()() % 2 == 0 ? 0 : half, half));
  }
  ~Gathered() {
    if (cores_.size() > 1) move(cores_);
    end_.release();
    owner_.join();
  }
  Gathered(const Gathered&) = delete;
  Gathered& operator=(const Gathered&) = delete;

 private:
  void move(std::span<const int> cores) const {
#pragma omp parallel num_threads(threads_)
    stay_on(cores);
  }

  int threads_;
  std::vector<int> cores_;
  std::atomic<bool> made_{false};
  std::binary_semaphore end_{0};
  std::thread owner_;
};

SharedCores::SharedCores(int threads) : threads_(threads), looked_(Clock::now()), waited_ns_(waited_ns()) {
  const bool decided = std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT") ||
                       std::getenv("OMP_PROC_BIND") || std::getenv("GOMP_CPU_AFFINITY") || std::getenv("OMP_PLACES");
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
    gathered_.reset();
  else if (!gathered_)
    gathered_ = std::make_unique<Gathered>(threads_);
  waited_ns_ = std::move(waited);
  looked_ = now;
  steps_ = 0;
}

}  // namespace gpumonth::trainer
