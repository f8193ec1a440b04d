// Which fused attention runs: cuDNN's, or the one that keeps whole heads in shared memory (attention_whole.h).
#pragma once

#include "trainer/ops/cuda/attention_fused.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// Of the passes that both have, those of whole heads where their results agree with cuDNN's and they are faster, or the
/// context is deterministic: timings vary. Decided once in a process for each shape; matmul_tuning_report() says what.
FusedAttention fastest_attention(Cuda& device, const AttentionShape& shape);

}  // namespace gpumonth::ops
