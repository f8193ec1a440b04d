// cuDNN's fused attention in bf16. attention_cudnn_cuda.cpp is built where cuDNN 9 and cudnn-frontend were
// found (cmake/Cudnn.cmake), attention_cudnn_stub_cuda.cpp elsewhere.
#pragma once

#include <functional>
#include <string>

#include "trainer/ops/attention.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// The passes of one shape that the library offers; an empty one is the plain attention's. Arguments as in Attention.
struct FusedAttention {
  std::function<void(const bf16* qkv, bf16* out, float* log_sum_exp)> forward;
  std::function<void(const bf16* qkv, const bf16* out, const float* log_sum_exp, const bf16* dout, bf16* dqkv)>
      backward;
  std::string forward_plan,
      backward_plan;  ///< the library's name of what it runs, or why it does not, in one line
};

/// Builds, tries and, unless the context is deterministic, times the library's plans: seconds. A shape that
/// the library refuses is no error.
FusedAttention make_fused_attention(Cuda& device, const AttentionShape& shape);

/// Whether this program was built with the library.
bool has_fused_attention();

}  // namespace gpumonth::ops
