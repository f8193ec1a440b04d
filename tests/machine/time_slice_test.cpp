// Short turns are the calling thread's and its children's wish, and change neither nice value nor policy.
#include "machine/time_slice.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <thread>

#include "tests/catch.h"

using gpumonth::machine::ask_for_short_turns;
using namespace std::chrono_literals;

namespace {

bool kernel_takes_wishes() {  // since Linux 6.12
  utsname name{};
  int major = 0, minor = 0;
  REQUIRE(uname(&name) == 0);
  REQUIRE(std::sscanf(name.release, "%d.%d", &major, &minor) == 2);
  return major > 6 || (major == 6 && minor >= 12);
}

/// `body` in a thread of its own: what is asked for here is no other test's.
template <typename Body>
void apart(Body body) {
  std::thread(body).join();
}

int nice_of_thread() { return getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }

/// As the kernel tells it (sched_getattr(2)): the 64 bits behind size, policy, flags, nice and priority.
std::chrono::nanoseconds turn_of_thread() {
  std::array<std::uint64_t, 6> attributes{};
  REQUIRE(syscall(SYS_sched_getattr, 0, attributes.data(), sizeof attributes, 0) == 0);
  return std::chrono::nanoseconds(attributes[3]);
}

}  // namespace

TEST_CASE("a thread asks for short turns and keeps its nice value and policy") {
  const bool takes = kernel_takes_wishes();
  std::chrono::nanoseconds turn{-1};
  int nice = -1, policy = -1;
  apart([&] {
    setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice_of_thread() + 3);
    nice = nice_of_thread();
    turn = ask_for_short_turns();
    nice = nice_of_thread() - nice;
    policy = sched_getscheduler(0);
  });
  CHECK(nice == 0);
  CHECK(policy == SCHED_OTHER);
  if (takes)
    CHECK(turn == 100us);
  else
    CHECK(turn >= 0ns);
}

TEST_CASE("threads started afterwards have them too") {
  std::chrono::nanoseconds first{-1}, child{-2};
  apart([&] {
    first = ask_for_short_turns();
    apart([&] { child = turn_of_thread(); });
  });
  CHECK(child == first);
}

TEST_CASE("a thread of another policy is left alone") {
  std::chrono::nanoseconds turn{-1};
  int policy = -1;
  apart([&] {
    const sched_param parameter{};
    REQUIRE(sched_setscheduler(0, SCHED_IDLE, &parameter) == 0);
    turn = ask_for_short_turns();
    policy = sched_getscheduler(0);
  });
  CHECK(turn == 0ns);
  CHECK(policy == SCHED_IDLE);
}
