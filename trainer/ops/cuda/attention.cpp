// Attention on a GPU: in bf16 the fastest fused one that has the shape, the plain kernels elsewhere.
#include <cstdio>
#include <mutex>
#include <type_traits>

#include "base/error.h"
#include "trainer/ops/attention_impl.h"
#include "trainer/ops/cuda/attention_choice.h"
#include "trainer/ops/cuda/attention_plain.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kLargestHead = 256;  // of PlainAttention

/// Once per process: the plain kernels use CUDA cores, several times slower than tensor cores.
void say_slower(const AttentionShape& s, const char* pass, const std::string& why) {
  static std::once_flag once;
  std::call_once(once, [&] {
    fmt::print(stderr,
               "gpumonth: the {} of attention ({} tokens, heads of {}) in bf16 runs on plain kernels, several"
               " times slower than cuDNN's: {}\n",
               pass, s.tokens, s.head_dim, why);
  });
}

}  // namespace

template <class T>
struct AttentionImpl<Cuda, T> {
  FusedAttention fused;
  std::unique_ptr<PlainAttention<T>> plain;

  AttentionImpl(Cuda& device, const AttentionShape& s) {
    if (s.head_dim > kLargestHead)
      user_error(
          "attention on a GPU takes heads of at most {}, and hidden_size / num_heads of this model is {}: "
          "raise"
          " model.num_heads",
          kLargestHead, s.head_dim);
    if constexpr (std::is_same_v<T, bf16>) {
      fused = fastest_attention(device, s);
      if (fused.forward && (fused.backward || !s.backward)) return;
      if (s.tokens > 1) {  // for one token cuDNN has no backward, and nobody waits
        if (fused.forward)
          say_slower(s, "backward", fused.backward_plan);
        else
          say_slower(s, fused.backward || !s.backward ? "forward" : "forward and backward", fused.forward_plan);
      }
    }
    plain = std::make_unique<PlainAttention<T>>(device, s);
  }

  void forward(const T* qkv, T* out, float* log_sum_exp) {
    if constexpr (std::is_same_v<T, bf16>)
      if (fused.forward) return fused.forward(qkv, out, log_sum_exp);
    plain->forward(qkv, out, log_sum_exp);
  }

  void backward(const T* qkv, const T* out, const float* log_sum_exp, const T* dout, T* dqkv) {
    if constexpr (std::is_same_v<T, bf16>)
      if (fused.backward) return fused.backward(qkv, out, log_sum_exp, dout, dqkv);
    plain->backward(qkv, out, log_sum_exp, dout, dqkv);
  }
};

template class Attention<Cuda, float>;
template class Attention<Cuda, bf16>;

}  // namespace gpumonth::ops
