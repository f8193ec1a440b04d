// Attention on CUDA cores, for what no fused one does: fp32, and in builds without cudnn-frontend long sequences and heads
// of other widths than 64 and 72.
#pragma once

#include "trainer/ops/attention.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// Arguments and layouts as in Attention. Scores never leave the chip: each block of a kernel holds a tile of
/// queries or keys and goes over the other side, in fp32 on CUDA cores. No atomics: deterministic. head_dim
/// up to 256.
template <class T>
class PlainAttention {
 public:
  PlainAttention(Cuda& device, const AttentionShape& shape);

  void forward(const T* qkv, T* out, float* log_sum_exp);
  void backward(const T* qkv, const T* out, const float* log_sum_exp, const T* dout, T* dqkv);

 private:
  using Forward = void (*)(AttentionShape, const T*, T*, float*);
  using BackwardQueries = void (*)(AttentionShape, const T*, const T*, const float*, const T*, float*, T*);
  using BackwardKeys = void (*)(AttentionShape, const T*, const float*, const float*, const T*, T*);

  template <int kWidth, int kTile>
  bool use(int shared_bytes_per_block);

  Cuda device_;
  AttentionShape shape_;
  int tile_ = 0;                                        // queries or keys of a block
  std::size_t forward_bytes_ = 0, backward_bytes_ = 0;  // of shared memory
  Forward forward_ = nullptr;
  BackwardQueries backward_queries_ = nullptr;
  BackwardKeys backward_keys_ = nullptr;
  Buffer<Cuda, float> dot_;  // (B, H, T) sum_j dO_j O_j
};

}  // namespace gpumonth::ops
