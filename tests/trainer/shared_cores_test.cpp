// That a run notices other programs on its cores, and that libgomp's threads then sleep on half of them. How fast
// steps are is measured by tests/bench/shared_machine.sh.
#include "trainer/shared_cores.h"

#include <omp.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include "tests/catch.h"

using namespace gpumonth;
using trainer::SharedCores;

namespace {

/// CPU time that one thread of two spends waiting for the other, which sleeps for 30 ms; the least of some tries. Other
/// programs make a wait longer, but not its CPU time.
double spin_s() {
  double least_s = 1;
  for (int i = 0; i < 5; ++i) {
    timespec before{}, after{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
#pragma omp parallel num_threads(2)
    if (omp_get_thread_num() == 1) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    least_s = std::min(least_s, static_cast<double>(after.tv_sec - before.tv_sec) +
                                    1e-9 * static_cast<double>(after.tv_nsec - before.tv_nsec));
  }
  return least_s;
}

/// Calls look() for at most `seconds`, or until threads are gathered, while more threads than cores want to run.
bool gathers_beside_others(SharedCores& cores, double seconds) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> others;
  for (int i = 0; i < 3 * omp_get_num_procs(); ++i)
    others.emplace_back([&stop] {
      while (!stop) {
      }
    });
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!cores.gathered() && std::chrono::steady_clock::now() < end) {
    cores.look();
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  stop = true;
  for (std::thread& other : others) other.join();
  return cores.gathered();
}

/// How many cores each of `threads` OpenMP threads may run on.
std::set<int> cores_of_threads(int threads) {
  std::set<int> counts;
#pragma omp parallel num_threads(threads)
  {
    cpu_set_t set;
    const int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : -1;
#pragma omp critical
    counts.insert(count);
  }
  return counts;
}

}  // namespace

TEST_CASE("shared cores: the share is that of the thread that waited longest, of those seen twice") {
  const std::map<int, std::uint64_t> before = {{1, 1'000}, {2, 5'000'000}, {3, 0}};
  const std::map<int, std::uint64_t> after = {{1, 100'001'000}, {2, 5'000'000}, {4, 900'000'000}};
  CHECK(trainer::largest_wait_share(before, after, 0.5) == Approx(0.2));
  CHECK(trainer::largest_wait_share({}, after, 0.5) == 0);
}

TEST_CASE("shared cores: both ways of waiting are tried, the faster is kept and tried against the other again") {
  struct {
    const char* what;
    double spin_s, sleep_s;
    bool sleeps;
  } const cases[] = {{"sleeping is faster", 0.4, 0.2, true}, {"spinning is faster", 0.2, 0.4, false}};
  for (const auto& c : cases) {
    INFO(c.what);
    trainer::WaitChoice choice;
    bool sleeps = false;
    const auto seconds_asleep = [&](double share, double seconds) {
      double asleep_s = 0;
      for (double t = 0; t < seconds; t += 0.25) {
        asleep_s += sleeps ? 0.25 : 0;
        sleeps = choice.next(share, sleeps ? c.sleep_s : c.spin_s, 0.25);
      }
      return asleep_s;
    };
    CHECK(seconds_asleep(0.04, 60) == 0);   // alone: too little to look further
    CHECK(seconds_asleep(0.4, 2.5) > 0.5);  // both are tried at the start
    const double asleep_s = seconds_asleep(0.4, 110);
    CHECK(asleep_s == Approx(c.sleeps ? 100 : 10).margin(5));
    CHECK(seconds_asleep(0.02, 2) > (c.sleeps ? 1.5 : -1));  // little waiting is no sign of being alone
    seconds_asleep(0.001, 0.25);
    CHECK(seconds_asleep(0.04, 60) == 0);
  }
}

TEST_CASE("shared cores: a way that has become slower is left") {
  trainer::WaitChoice choice;
  bool sleeps = false;
  for (int i = 0; i < 100; ++i) sleeps = choice.next(0.4, sleeps ? 0.2 : 0.4, 0.25);
  int asleep = 0;
  for (int i = 0; i < 400; ++i) {
    sleeps = choice.next(0.4, sleeps ? 0.6 : 0.4, 0.25);
    asleep += i >= 100 && sleeps;
  }
  CHECK(asleep < 60);
}

TEST_CASE(
    "shared cores: threads beside other programs sleep on half of the cores, and spin on all again without them") {
  const int procs = omp_get_num_procs();
  if (procs < 2) return;  // libgomp never spins long there
  const double alone_s = spin_s();
  {
    SharedCores cores(procs);
    CHECK_FALSE(cores.gathered());
    REQUIRE(gathers_beside_others(cores, 20));
    CHECK(spin_s() < alone_s / 4);
    CHECK(cores_of_threads(procs) == std::set{procs / 2});
  }
  CHECK(cores_of_threads(procs) == std::set{procs});
  CHECK(spin_s() > alone_s / 2);
}

TEST_CASE("shared cores: one thread waits for none, and what the user has set stays") {
  SharedCores single(1);
  CHECK_FALSE(gathers_beside_others(single, 0.7));
  for (const char* variable : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_PROC_BIND"}) {
    setenv(variable, "1", 1);  // libgomp has read its own at the start of this program
    SharedCores decided(omp_get_num_procs());
    CHECK_FALSE(gathers_beside_others(decided, 0.7));
    unsetenv(variable);
  }
}
