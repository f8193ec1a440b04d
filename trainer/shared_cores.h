// Whether other programs run on this rank's cores, and how its threads wait for each other then.
//
// At the end of a parallel loop libgomp's threads spin for some milliseconds before they sleep. On cores of our own that
// is best: a step of the tiny model has some 500 such ends, and a sleep at each would make it 1.5 times as long. On a
// core that another program wants too, a spinning thread takes the time of the one that it waits for, and the step
// becomes 4 to 50 times as long. So a run watches how long its threads were ready and did not run, and lets them sleep
// almost at once as long as others want their cores.
//
// libgomp reads its own settings before main, but it spins only 100 times where it has more threads than this process
// has cores (documented with GOMP_SPINCOUNT). One thread too many, asleep in a team of its own, is what this adds.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

namespace gpumonth::trainer {

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
  std::map<int, std::uint64_t> waited_ns_;  ///< by thread, since its start
  std::unique_ptr<ExtraTeam> extra_team_;
};

/// The largest share of `elapsed_s` that a thread was ready to run and had no core, of those in both maps (ns by thread).
double largest_wait_share(const std::map<int, std::uint64_t>& before, const std::map<int, std::uint64_t>& after,
                          double elapsed_s);

}  // namespace gpumonth::trainer
