// NCCL ranks that get lost in a way that the command line says:
//   comm_nccl_victim reduce SECONDS    steps for so long, printing "pid RANK PID" when the first is done
//   comm_nccl_victim absent RANK       that rank stays away from step 17, in phase 'checkpoint'
// Watchdog limit: GPUMONTH_TEST_WATCHDOG_S, 5 s by default.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/error.h"
#include "comm/launch.h"
#include "tests/comm/gpu_step.h"

namespace {

using namespace gpumonth::comm;
using gpumonth::tests::GpuStep;

constexpr std::int64_t kCount = 1 << 20;

void one_step(GpuStep& step, int number) {
  step.reducer().begin_step(number);
  step.enqueue();
  step.reducer().finish();
}

void reduce_for(Communicator& ranks, GpuStep& step, double seconds) {
  one_step(step, 1);
  std::printf("pid %d %d\n", ranks.rank(), static_cast<int>(getpid()));
  std::fflush(stdout);
  const auto start = std::chrono::steady_clock::now();
  int number = 1;
  for (double more = 1; more > 0;) {  // rank 0's clock decides, so that all do the same number of steps
    one_step(step, ++number);
    const bool in_time = std::chrono::steady_clock::now() - start < std::chrono::duration<double>(seconds);
    more = ranks.rank() == 0 && in_time ? 1 : 0;
    ranks.all_reduce_sum(std::span<double>(&more, 1));
  }
}

void run(Transport& transport, const std::string& what, const std::string& how) {
  Communicator& ranks = transport.ranks();
  GpuStep step(transport, {{0, kCount / 2}, {kCount / 2, kCount / 2}}, kCount, 1 << 20);
  if (what == "reduce") return reduce_for(ranks, step, std::atof(how.c_str()));
  if (what != "absent") gpumonth::user_error("unknown request '{}'", what);
  one_step(step, 1);
  const bool absent = ranks.rank() == std::atoi(how.c_str());
  transport.set_context(absent ? "checkpoint" : "step", 17);
  if (absent) std::this_thread::sleep_for(std::chrono::hours(1));
  one_step(step, 17);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const char* limit = std::getenv("GPUMONTH_TEST_WATCHDOG_S");
    Environment environment;
    const auto transport = environment.make_transport(
        {.transport = "nccl", .watchdog_s = limit ? std::atof(limit) : 5, .allow_shared_gpu = true});
    run(*transport, argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : "");
  } catch (const gpumonth::UserError& error) {
    fail(error.what(), 2);
  } catch (const std::exception& error) {
    fail(error.what(), 1);
  }
}
