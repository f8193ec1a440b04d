// Full self-attention, softmax(Q K^T / sqrt(d)) V for each head, without dropout or mask. Scores never leave the
// cache: forward keeps the log-sum-exp of each row, backward recomputes (Dao et al., arXiv:2205.14135).
#pragma once

#include <cstdint>
#include <memory>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

struct AttentionShape {
  std::int64_t batch = 0, tokens = 0, heads = 0, head_dim = 0;  ///< B, T, H, d; h = H d
  bool backward = true;                                         ///< false: forward alone
};

template <class Device, class T>
struct AttentionImpl;  // each backend's own

/// T = float or bf16.
template <class Device, class T>
class Attention {
 public:
  Attention(Device& device, const AttentionShape& shape);
  ~Attention();

  /// qkv (B, T, 3, H, d), out (B, T, H, d), log_sum_exp fp32 (B, H, T): of the scaled scores.
  void forward(const T* qkv, T* out, float* log_sum_exp);
  /// dout (B, T, H, d), dqkv (B, T, 3, H, d), overwritten.
  void backward(const T* qkv, const T* out, const float* log_sum_exp, const T* dout, T* dqkv);

 private:
  std::unique_ptr<AttentionImpl<Device, T>> impl_;
};

}  // namespace gpumonth::ops
