#include "machine/nvtx.h"

#include <nvtx3/nvToolsExt.h>

namespace gpumonth::machine {

NvtxRange::NvtxRange(const char* name) { nvtxRangePushA(name); }
NvtxRange::~NvtxRange() { nvtxRangePop(); }

}  // namespace gpumonth::machine
