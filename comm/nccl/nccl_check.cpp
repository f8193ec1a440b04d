#include "comm/nccl/nccl_check.h"

#include <fmt/format.h>

#include <stdexcept>

#include "comm/abort.h"
#include "machine/cuda_check.h"

namespace gpumonth::comm {
namespace {

const char* hint(ncclResult_t result) {
  switch (result) {
    case ncclUnhandledCudaError:
      return "GPU memory may be full, or driver and NCCL do not fit: `nvidia-smi`; NCCL_DEBUG=INFO says more";
    case ncclSystemError:
      return "network or shared memory: NCCL_SOCKET_IFNAME names the interface to use, /dev/shm may be too small; "
             "NCCL_DEBUG=INFO says more";
    case ncclInvalidArgument:
    case ncclInvalidUsage:
    case ncclInternalError:  // what older versions call a missing interface
      return "ranks called different collectives, two of them use one GPU, or no network interface is as "
             "NCCL_SOCKET_IFNAME says; NCCL_DEBUG=WARN says more";
    case ncclRemoteError: return "look for a rank or host that ended first";
    default: return "NCCL_DEBUG=INFO says more";
  }
}

}  // namespace

std::string nccl_text(ncclResult_t result) {
  const char* last = ncclGetLastError(nullptr);
  const std::string text = ncclGetErrorString(result);
  return last && *last ? fmt::format("{}: {}", text, last) : text;
}

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "?";
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);  // 2.9 and newer
}

thread_local bool ThrowErrors::enabled_ = false;

void report_nccl_error(ncclResult_t result, const char* call, const char* file, int line) {
  const std::string message = machine::call_failed(call, nccl_text(result), file, line, hint(result));
  if (ThrowErrors::enabled()) throw std::runtime_error(message);
  abort_job(rank_prefix() + message, 1);
}

}  // namespace gpumonth::comm
