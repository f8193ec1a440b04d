#include "comm/nccl/nccl_check.h"

#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

#include "comm/abort.h"

namespace gpumonth::comm {
namespace {

const char* hint(ncclResult_t result) {
  switch (result) {
    case ncclUnhandledCudaError:
      return "GPU memory may be full, or driver and NCCL do not fit: `nvidia-smi`; NCCL_DEBUG=INFO says more";
    case ncclSystemError:
      return "network or shared memory: NCCL_SOCKET_IFNAME names the interface to use, /dev/shm may be too "
             "small; "
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

const char* hint(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "GPU memory is full: fewer samples per rank or a smaller model; `nvidia-smi` shows who else "
             "uses the GPU";
    case cudaErrorInsufficientDriver: return "the driver is older than the CUDA runtime of this program";
    default: return "an earlier kernel may have failed: compute-sanitizer names it";
  }
}

const char* short_path(const char* file) {
  const char* base = std::strstr(file, "comm/");
  return base ? base : file;
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

namespace {

[[noreturn]] void report(const std::string& call, const std::string& text, const char* file, int line,
                         const char* what_to_do) {
  const std::string message = fmt::format("{}: {} at {}:{} - {}", call, text, short_path(file), line, what_to_do);
  if (ThrowErrors::enabled()) throw std::runtime_error(message);
  abort_job(rank_prefix() + message, 1);
}

}  // namespace

void report_nccl_error(ncclResult_t result, const char* call, const char* file, int line) {
  report(call, nccl_text(result), file, line, hint(result));
}

void report_cuda_error(cudaError_t status, const char* call, const char* file, int line) {
  cudaGetLastError();  // else the next launch check finds it again
  report(call, cudaGetErrorString(status), file, line, hint(status));
}

}  // namespace gpumonth::comm
