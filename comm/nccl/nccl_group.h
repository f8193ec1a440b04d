// NCCL calls that start together.
#pragma once

#include "comm/nccl/nccl_check.h"

namespace gpumonth::comm {

/// Ended in any case: an open group would keep every later call waiting.
class NcclGroup {
 public:
  NcclGroup() { GPUMONTH_NCCL(ncclGroupStart); }
  ~NcclGroup() {
    if (open_) ncclGroupEnd();
  }
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;
  void end() {
    open_ = false;
    GPUMONTH_NCCL(ncclGroupEnd);
  }

 private:
  bool open_ = true;
};

}  // namespace gpumonth::comm
