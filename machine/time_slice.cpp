#include "machine/time_slice.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace gpumonth::machine {
namespace {

// The shortest that the kernel grants. The loops of a step take some 10 us to some milliseconds.
constexpr std::uint64_t kTurn_ns = 100'000;

/// sched_setattr(2)'s first version, which every kernel knows. glibc declares it and the two calls since 2.41 alone.
struct SchedulingWish {
  std::uint32_t size = sizeof(SchedulingWish);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime_ns = 0;
  std::uint64_t deadline_ns = 0;
  std::uint64_t period_ns = 0;
};

constexpr pid_t kThisThread = 0;

bool ask(SchedulingWish& wish) { return syscall(SYS_sched_getattr, kThisThread, &wish, sizeof wish, 0) == 0; }

}  // namespace

std::chrono::nanoseconds ask_for_short_turns() {
  SchedulingWish wish;
  if (!ask(wish) || (wish.policy != SCHED_OTHER && wish.policy != SCHED_BATCH)) return {};
  wish.size = sizeof wish;
  wish.runtime_ns = kTurn_ns;
  if (syscall(SYS_sched_setattr, kThisThread, &wish, 0) != 0 || !ask(wish)) return {};
  return std::chrono::nanoseconds(wish.runtime_ns);
}

}  // namespace gpumonth::machine
