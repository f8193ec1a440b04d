// A program whose ranks get lost in a way that the command line says:
//   comm_victim reduce SECONDS      all-reduces for so long, printing "pid RANK PID" first
//   comm_victim absent RANK         that rank stays away from the collective, in phase 'checkpoint' of step
//   17
//   comm_victim absent-part RANK    the same in an all-to-all of pairs; the other pairs do something else
//   comm_victim user-error RANK     that rank throws UserError, the others wait for it; "all": every rank
//   does
//   comm_victim mismatch            ranks reduce different sizes
// Watchdog limit: GPUMONTH_TEST_WATCHDOG_S, 2 s by default. "--ring": MPI messages on one host too.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/error.h"
#include "comm/host/host_transport.h"
#include "comm/host/thread_reducer.h"
#include "comm/launch.h"

namespace {

using namespace gpumonth::comm;

void reduce_for(Transport& transport, double seconds) {
  Communicator& ranks = transport.ranks();
  std::printf("pid %d %d\n", ranks.rank(), static_cast<int>(getpid()));
  std::fflush(stdout);
  constexpr std::int64_t kCount = 1 << 20;
  const auto gradients = transport.allocate(kCount);
  ThreadReducer reducer(transport, gradients.get(), {{0, kCount / 2}, {kCount / 2, kCount / 2}}, 1 << 20);
  const auto start = std::chrono::steady_clock::now();
  // rank 0's clock decides, so that all do the same number of steps; its word travels as a gradient, so that
  // a rank that gets lost is always missed by the gradients' thread
  for (float more = 1; more > 0; more = gradients[0]) {
    static int step = 0;
    const bool in_time = std::chrono::steady_clock::now() - start < std::chrono::duration<double>(seconds);
    gradients[0] = ranks.rank() == 0 && in_time ? 1.0f : 0.0f;
    reducer.begin_step(++step);
    reducer.begin_backward();
    reducer.ready(0);
    reducer.ready(1);
    reducer.wait();
  }
}

void run(Transport& transport, const std::string& what, const std::string& how) {
  Communicator& ranks = transport.ranks();
  if (what == "reduce") return reduce_for(transport, std::atof(how.c_str()));
  if (what == "absent") {
    const bool absent = ranks.rank() == std::atoi(how.c_str());
    transport.set_context(absent ? "checkpoint" : "backward", 17);
    if (absent) std::this_thread::sleep_for(std::chrono::hours(1));
    return ranks.barrier();
  }
  if (what == "absent-part") {
    const int absent = std::atoi(how.c_str());
    const auto pair = ranks.split(ranks.rank() / 2, "pair");
    transport.set_context(ranks.rank() == absent ? "data" : "backward", 17);
    if (ranks.rank() == absent || ranks.rank() / 2 != absent / 2) std::this_thread::sleep_for(std::chrono::hours(1));
    std::vector<float> sent(2000), received(2000);
    return pair->all_to_all(sent, received);
  }
  if (what == "user-error") {
    if (how == "all" || ranks.rank() == std::atoi(how.c_str())) gpumonth::user_error("no such file 'x.toml'");
    return ranks.barrier();
  }
  if (what == "mismatch") {
    std::vector<float> values(1000 + 1000 * ranks.rank());
    return ranks.all_reduce_sum(std::span<float>(values));
  }
  gpumonth::user_error("unknown request '{}'", what);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const char* limit = std::getenv("GPUMONTH_TEST_WATCHDOG_S");
    const double watchdog_s = limit ? std::atof(limit) : 2;
    Environment environment;
    auto transport = environment.make_transport({.transport = "auto", .watchdog_s = watchdog_s});
    if (argc > 3 && std::string(argv[3]) == "--ring") transport = std::make_unique<MpiTransport>(watchdog_s, false);
    run(*transport, argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
  } catch (const gpumonth::UserError& error) {
    fail(error.what(), 2);
  }
}
