// Attention in bf16 on tensor cores for few tokens: one block of threads per sample and head, whose keys and values lie
// whole in shared memory.
//
// Heads of 64 or 72. Forward takes as many tokens as shared memory holds keys and values of: 800 of 227 KiB (H100), 576 of
// 163 KiB (A100). Backward takes 256, as each of its 8 warps keeps the gradients of 32 keys in registers: no sum crosses
// blocks, so there is no second kernel, no fp32 copy of dQ and no atomic, and results are the same bits every time.
#pragma once

#include "trainer/ops/cuda/attention_fused.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// Empty where it does not take the shape. Arguments as in Attention.
AttentionForward whole_attention_forward(const Cuda& device, const AttentionShape& shape);
AttentionBackward whole_attention_backward(const Cuda& device, const AttentionShape& shape);

}  // namespace gpumonth::ops
