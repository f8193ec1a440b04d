// cuDNN's fused attention in bf16. attention_cudnn_cuda.cpp is built where cuDNN 9 and cudnn-frontend were
// found (cmake/Cudnn.cmake), attention_cudnn_stub_cuda.cpp elsewhere.
#pragma once

#include "trainer/ops/cuda/attention_fused.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// Builds, tries and, unless the context is deterministic, times the library's plans: seconds. A shape that
/// the library refuses is no error.
FusedAttention make_fused_attention(Cuda& device, const AttentionShape& shape);

/// Whether this program was built with the library.
bool has_fused_attention();

}  // namespace gpumonth::ops
