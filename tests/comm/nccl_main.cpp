// The main of tests that run as several NCCL ranks, all on one GPU where there are not more. Without a GPU
// every rank ends with 77, before MPI starts: CTest reports the test as skipped.
#include <cstdio>

#include "comm/launch.h"
#include "comm/nccl/nccl_transport.h"
#include "machine/cuda_devices.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

namespace {
gpumonth::comm::Communicator* the_ranks = nullptr;
}

gpumonth::comm::Communicator& gpumonth::tests::ranks() { return *the_ranks; }

int main(int argc, char** argv) {
  using namespace gpumonth;
  const machine::CudaDevices gpus = machine::cuda_devices();
  if (gpus.devices.empty() || !comm::nccl_is_built()) {
    std::printf("skipped: %s\n", gpus.devices.empty() ? gpus.why_none.c_str() : "built without NCCL");
    return 77;
  }
  comm::Environment environment;
  const auto ranks = environment.make_communicator({.transport = "nccl", .watchdog_s = 60, .allow_shared_gpu = true});
  the_ranks = ranks.get();
  if (ranks->rank() == 0) std::printf("%s\n", ranks->description().c_str());
  const int failed = tests::run_catch(argc, argv);
  if (failed) ranks->abort("test cases failed on this rank", 1);  // the others may wait for it for ever
  return 0;
}
