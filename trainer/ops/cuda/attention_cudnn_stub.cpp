// In place of attention_cudnn_cuda.cpp where cuDNN or cudnn-frontend was not found.
#include "trainer/ops/cuda/attention_cudnn.h"

namespace gpumonth::ops {

FusedAttention make_fused_attention(Cuda&, const AttentionShape&) {
  const std::string why =
      "this program was built without cuDNN 9 and cudnn-frontend (jobs/install.sh fetches the"
      " latter)";
  return {{}, {}, why, why};
}

bool has_fused_attention() { return false; }

}  // namespace gpumonth::ops
