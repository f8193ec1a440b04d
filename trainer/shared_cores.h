// Whether other programs run on this rank's cores, and where its threads run and how they wait for each other then.
//
// At the end of a parallel loop libgomp's threads spin for some milliseconds before they sleep. On cores of our own
// that is best: a step of the tiny model has some 500 such ends, and a sleep at each would make it 1.5 times as long.
// Beside other programs each core gives a thread its share at times of its own, and every loop waits for the last thread:
// beside as many programs as two cores a step takes 2.6 times as long where threads spin, 4.5 where they sleep. Beside one
// program spinning threads may end on one core, each taking the time of the one it waits for: 12 times. Where all
// threads of a rank share one half of its cores and sleep, the kernel moves the others to the other half, and a step
// takes twice as long: no more than the others' share. (Measured on Linux 6.18; before threads were held there the same
// came and went by chance, 2.0 to 4.5 times.) But beside a little work of others it would be twice as long as well. So a
// run watches how long its threads were ready and did not run; where others want its cores it tries both ways and stays
// with the faster.
//
// libgomp reads its own settings before main, but it spins only 100 times where it has more threads than this process
// has cores (documented with GOMP_SPINCOUNT). One thread too many, asleep in a team of its own, makes threads sleep.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

namespace gpumonth::trainer {

/// Whether threads shall gather on half of the cores and sleep where they wait, decided from what each way cost.
class WaitChoice {
 public:
  /// `share` is the largest share of the last `elapsed_s` that a thread waited for a core, `step_s` the mean time of
  /// the steps in it. Returns whether threads shall be gathered from now on.
  bool next(double share, double step_s, double elapsed_s);

 private:
  bool shared_ = false, gather_ = false, trial_ = false;
  double period_s_ = 0, steps_ = 0;  ///< since the present way began
  double step_s_[2] = {0, 0};        ///< of each way when it was last tried
};

class SharedCores {
 public:
  /// `threads` of this rank compute. Does nothing where that is one, where the user has decided how threads wait
  /// or run (OMP_WAIT_POLICY, GOMP_SPINCOUNT, OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY is set), and where Linux does not say how long threads wait for a core.
  explicit SharedCores(int threads);
  ~SharedCores();
  SharedCores(const SharedCores&) = delete;
  SharedCores& operator=(const SharedCores&) = delete;

  /// Between two steps: looks at most four times a second, some 10 us for each thread of the process.
  void look();
  /// Threads sleep almost at once now, on half of the cores.
  bool gathered() const { return gathered_ != nullptr; }

 private:
  class Gathered;
  using Clock = std::chrono::steady_clock;

  int threads_;
  Clock::time_point looked_;
  int steps_ = 0;  ///< since then
  WaitChoice choice_;
  std::map<int, std::uint64_t> waited_ns_;  ///< by thread, since its start
  std::unique_ptr<Gathered> gathered_;
};

/// The largest share of `elapsed_s` that a thread was ready to run and had no core, of those in both maps (ns by
/// thread).
double largest_wait_share(const std::map<int, std::uint64_t>& before, const std::map<int, std::uint64_t>& after,
                          double elapsed_s);

}  // namespace gpumonth::trainer
