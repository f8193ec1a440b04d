// Whether other programs run on this rank's cores, and how its threads wait for each other then.
//
// At the end of a parallel loop libgomp's threads spin for some milliseconds before they sleep. On cores of our own
// that is best: a step of the tiny model has some 500 such ends, and a sleep at each would make it 1.5 times as long.
// On a core that another program wants too, a spinning thread may take the time of the one that it waits for; or a
// sleeping one may wake behind the other program. Which is worse depends on the kernel and on where it has put the
// threads: on one machine spinning made the step 4.5 times as long and sleeping 2.2 times, on another 2.3 and 3.7. So a
// run watches how long its threads were ready and did not run; where others want its cores it tries both and stays with
// the faster.
//
// libgomp reads its own settings before main, but it spins only 100 times where it has more threads than this process
// has cores (documented with GOMP_SPINCOUNT). One thread too many, asleep in a team of its own, is what this adds.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

namespace gpumonth::trainer {

/// Whether threads shall sleep at once where they wait for each other, decided from what each way cost.
class WaitChoice {
 public:
  /// `share` is the largest share of the last `elapsed_s` that a thread waited for a core, `step_s` the mean time of
  /// the steps in it. Returns whether threads shall sleep at once from now on.
  bool next(double share, double step_s, double elapsed_s);

 private:
  bool shared_ = false, sleep_ = false, trial_ = false;
  double period_s_ = 0, steps_ = 0;  ///< since the present way began
  double step_s_[2] = {0, 0};        ///< of each way when it was last tried
};

class SharedCores {
 public:
  /// `threads` of this rank compute. Does nothing where that is one, where the user has decided how threads wait
  /// (OMP_WAIT_POLICY or GOMP_SPINCOUNT is set), and where Linux does not say how long threads wait for a core.
  explicit SharedCores(int threads);
  ~SharedCores();
  SharedCores(const SharedCores&) = delete;
  SharedCores& operator=(const SharedCores&) = delete;

  /// Between two steps: looks at most four times a second, some 10 us for each thread of the process.
  void look();
  /// Threads sleep almost at once now.
  bool threads_yield() const { return extra_team_ != nullptr; }

 private:
  class ExtraTeam;
  using Clock = std::chrono::steady_clock;

  int threads_;
  Clock::time_point looked_;
  int steps_ = 0;  ///< since then
  WaitChoice choice_;
  std::map<int, std::uint64_t> waited_ns_;  ///< by thread, since its start
  std::unique_ptr<ExtraTeam> extra_team_;
};

/// The largest share of `elapsed_s` that a thread was ready to run and had no core, of those in both maps (ns by
/// thread).
double largest_wait_share(const std::map<int, std::uint64_t>& before, const std::map<int, std::uint64_t>& after,
                          double elapsed_s);

}  // namespace gpumonth::trainer
