// The "nccl" transport: gradients in GPU memory, summed by NCCL. One of two source files is built: with NCCL
// (nccl_communicator.cpp) or without (nccl_stub.cpp).
#pragma once

#include <memory>
#include <string>

#include "comm/transport.h"

namespace gpumonth::comm {

struct NcclOptions {
  bool allow_shared_gpu = false;  ///< two ranks may use one GPU, over sockets: for tests, slow
  double watchdog_s = 300;        ///< longest time for a step; for the start at most 60 s, also with 0
};

/// Throws UserError with the reason where there is no NCCL in this program or this process sees no GPU.
void require_nccl();

/// Whether "nccl" is built in; doctor asks before it tries.
bool nccl_is_built();

/// Collective over `host`, which carries everything in host memory. `watchdog`: that of `host`, null with one
/// rank. Takes a GPU per rank by local rank and makes it the calling thread's device. UserError:
/// require_nccl(), check_gpus() (gpu_assignment.h). A NCCL that cannot connect ends the job with its own text.
std::unique_ptr<Transport> make_nccl_transport(std::unique_ptr<Communicator> host, std::shared_ptr<Watchdog> watchdog,
                                               const NcclOptions& options);

}  // namespace gpumonth::comm
