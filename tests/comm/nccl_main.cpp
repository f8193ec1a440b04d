// The main of tests that run as several NCCL ranks, all on one GPU where there are not more. Without a GPU
// every rank ends with 77, before MPI starts: CTest reports the test as skipped.
#include <algorithm>
#include <cstdio>

#include "comm/launch.h"
#include "comm/nccl/nccl_transport.h"
#include "machine/cuda_devices.h"
#include "tests/catch.h"
#include "tests/comm/case_limit.h"
#include "tests/comm/ranks.h"

namespace {
gpumonth::comm::Transport* the_transport = nullptr;
}

gpumonth::comm::Transport& gpumonth::tests::transport() { return *the_transport; }

int main(int argc, char** argv) {
  using namespace gpumonth;
  const machine::CudaDevices gpus = machine::cuda_devices();
  if (gpus.devices.empty() || !comm::nccl_is_built()) {
    std::printf("skipped: %s\n", gpus.devices.empty() ? gpus.why_none.c_str() : "built without NCCL");
    return 77;
  }
  comm::Environment environment;
  // Before a case's own limit: the watchdog knows which rank did not come.
  const double watchdog_s = std::min(60.0, 0.6 * tests::case_limit_s());
  const auto transport =
      environment.make_transport({.transport = "nccl", .watchdog_s = watchdog_s, .allow_shared_gpu = true});
  the_transport = transport.get();
  if (transport->ranks().rank() == 0) std::printf("%s\n", transport->description().c_str());
  const int failed = tests::run_catch(argc, argv);
  if (failed) transport->ranks().abort("test cases failed on this rank", 1);  // the others may wait for it for ever
  return 0;
}
