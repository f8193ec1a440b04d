// The main of tests that start programs which need a GPU: 77, which CTest reports as skipped, where there is none.
#include <cstdio>

#include "comm/nccl/nccl_transport.h"
#include "machine/cuda_devices.h"
#include "tests/catch.h"

int main(int argc, char** argv) {
  const gpumonth::machine::CudaDevices gpus = gpumonth::machine::cuda_devices();
  if (gpus.devices.empty() || !gpumonth::comm::nccl_is_built()) {
    std::printf("skipped: %s\n", gpus.devices.empty() ? gpus.why_none.c_str() : "built without NCCL");
    return 77;
  }
  return gpumonth::tests::run_catch(argc, argv);
}
