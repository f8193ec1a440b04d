// Every NCCL call is checked: `[rank 3/8 node07] ncclAllReduce: <NCCL's text, ncclGetLastError> at comm/x.cpp:42 - hint`,
// and the job ends, as the other ranks wait for this one. CUDA calls beside them throw (machine/cuda_check.h).
#pragma once

#include <nccl.h>

#include <string>

namespace gpumonth::comm {

[[noreturn]] void report_nccl_error(ncclResult_t result, const char* call, const char* file, int line);

/// "unhandled system error: <ncclGetLastError>"
std::string nccl_text(ncclResult_t result);

/// "2.28.9", of the library that is loaded; "?" where it does not say.
std::string nccl_version();

/// While one lives, failed NCCL calls of this thread throw std::runtime_error in place of ending the job: inside a
/// stream capture, which whoever captures can give up.
class ThrowErrors {
 public:
  explicit ThrowErrors(bool on) : before_(enabled_) { enabled_ = on; }
  ~ThrowErrors() { enabled_ = before_; }
  ThrowErrors(const ThrowErrors&) = delete;
  ThrowErrors& operator=(const ThrowErrors&) = delete;
  static bool enabled() { return enabled_; }

 private:
  static thread_local bool enabled_;
  bool before_;
};

inline void check_nccl(ncclResult_t result, const char* call, const char* file, int line) {
  if (result != ncclSuccess) report_nccl_error(result, call, file, line);
}

}  // namespace gpumonth::comm

// A macro, because the message names the call and the place.
#define GPUMONTH_NCCL(function, ...) ::gpumonth::comm::check_nccl(function(__VA_ARGS__), #function, __FILE__, __LINE__)
