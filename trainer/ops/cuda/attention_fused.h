// One fused attention in bf16, by whom ever: passes as functions.
#pragma once

#include <functional>
#include <string>

#include "trainer/ops/attention.h"
#include "trainer/ops/bf16.h"

namespace gpumonth::ops {

using AttentionForward = std::function<void(const bf16* qkv, bf16* out, float* log_sum_exp)>;
using AttentionBackward =
    std::function<void(const bf16* qkv, const bf16* out, const float* log_sum_exp, const bf16* dout, bf16* dqkv)>;

/// The passes that are offered for one shape; an empty one is the plain attention's. Arguments as in Attention.
struct FusedAttention {
  AttentionForward forward;
  AttentionBackward backward;
  std::string forward_plan, backward_plan;  ///< what runs, or why it does not, in one line
};

}  // namespace gpumonth::ops
