#include "base/error.h"
#include "comm/nccl/nccl_transport.h"

namespace gpumonth::comm {

bool nccl_is_built() { return false; }

void require_nccl() {
  user_error(
      "comm.transport = \"nccl\": this gpumonth is built without NCCL (no nvcc, no NCCL 2.20+ or "
      "GPUMONTH_CUDA=OFF at "
      "configure time); use \"auto\" or \"mpi\"");
}

std::unique_ptr<Transport> make_nccl_transport(std::unique_ptr<Communicator>, std::shared_ptr<Watchdog>,
                                               const NcclOptions&) {
  require_nccl();
  return nullptr;  // require_nccl() has thrown
}

}  // namespace gpumonth::comm
