#include "trainer/ops/cuda/attention_choice.h"

#include <cstdio>
#include <functional>

#include "base/error.h"
#include "trainer/ops/cuda/attention_cudnn.h"
#include "trainer/ops/cuda/attention_whole.h"
#include "trainer/ops/cuda/autotune.h"
#include "trainer/ops/cuda/matmul_tuning.h"

namespace gpumonth::ops {
namespace {

constexpr const char* kWholeHeads = "whole heads in shared memory";
constexpr double kTrialUs = 5e3;
/// Relative, in the Euclidean norm. Both sides round probabilities, gradients of scores and results to bf16, sqrt(6) x
/// 1.1e-3 = 2.8e-3; what a wrong stride, scale or token does is larger than 1e-1.
constexpr double kMostDistance = 1e-2;

/// Operands, and both sides' results.
struct AttentionTrial {
  AttentionTrial(const Cuda& device, const AttentionShape& s)
      : outputs(s.batch * s.tokens * s.heads * s.head_dim), gradients(s.backward ? 3 * outputs : 1),
        qkv(device, Dtype::bf16, 3 * outputs), dout(device, Dtype::bf16, outputs), out(device, Dtype::bf16, outputs),
        own_out(device, Dtype::bf16, outputs), dqkv(device, Dtype::bf16, gradients),
        own_dqkv(device, Dtype::bf16, gradients), lse(device, Dtype::fp32, s.batch * s.heads * s.tokens),
        own_lse(device, Dtype::fp32, s.batch * s.heads * s.tokens) {}
  std::int64_t outputs, gradients;
  TrialBuffer qkv, dout, out, own_out, dqkv, own_dqkv, lse, own_lse;
  explicit operator bool() const { return qkv && dout && out && own_out && dqkv && own_dqkv && lse && own_lse; }
};

/// The whole-head kernels against the library's.
Decision contest(const Cuda& device, const std::function<void()>& library, const std::function<void()>& own,
                 const std::function<double()>& distance) {
  library();
  own();
  if (const double apart = distance(); !(apart < kMostDistance)) {
    fmt::print(stderr,
               "gpumonth: attention by {} and by cuDNN differ by {:.1e} of their size on this GPU: cuDNN's is used."
               " Please report it, with the output of `gpumonth doctor`\n",
               kWholeHeads, apart);
    return {false, fmt::format("cuDNN: {} differ from it by {:.1e}", kWholeHeads, apart)};
  }
  if (device.context->deterministic) return {true, fmt::format("{}: deterministic, not timed", kWholeHeads)};
  const double library_us = time_us(device, kTrialUs, library), own_us = time_us(device, kTrialUs, own);
  return {own_us < library_us,
          fmt::format("{}: {} {:.1f} us, cuDNN {:.1f} us", own_us < library_us ? kWholeHeads : "cuDNN", kWholeHeads,
                      own_us, library_us)};
}

std::string key_of(const char* pass, const AttentionShape& s) {
  return fmt::format("attention {}, {} x {} tokens, {} heads of {}", pass, s.batch, s.tokens, s.heads, s.head_dim);
}

/// `decide` on a trial's memory, where there is enough.
bool decided(const Cuda& device, const char* pass, const AttentionShape& s,
             const std::function<Decision(const AttentionTrial&)>& decide) {
  return decided_once(device, key_of(pass, s), [&]() -> Decision {
    const AttentionTrial trial(device, s);
    const bool deterministic = device.context->deterministic;  // free memory may not decide then
    if (!trial)
      return {deterministic, fmt::format("{}, not tried: the GPU's free memory does not hold the operands",
                                         deterministic ? kWholeHeads : "cuDNN")};
    return decide(trial);
  });
}

bool prefer_forward(const Cuda& device, const AttentionShape& s, const AttentionForward& library,
                    const AttentionForward& own) {
  return decided(device, "forward", s, [&](const AttentionTrial& t) {
    return contest(
        device, [&] { library(t.qkv.as<bf16>(), t.out.as<bf16>(), t.lse.as<float>()); },
        [&] { own(t.qkv.as<bf16>(), t.own_out.as<bf16>(), t.own_lse.as<float>()); },
        [&] {
          const std::int64_t rows = s.batch * s.heads * s.tokens;
          return relative_distance_on_gpu(device, Dtype::bf16, t.outputs, t.own_out.get(), t.out.get()) +
                 relative_distance_on_gpu(device, Dtype::fp32, rows, t.own_lse.get(), t.lse.get());
        });
  });
}

/// `forward`: anybody's, for what backward needs of it.
bool prefer_backward(const Cuda& device, const AttentionShape& s, const AttentionForward& forward,
                     const AttentionBackward& library, const AttentionBackward& own) {
  return decided(device, "backward", s, [&](const AttentionTrial& t) {
    forward(t.qkv.as<bf16>(), t.out.as<bf16>(), t.lse.as<float>());
    const auto run = [&](const AttentionBackward& pass, const TrialBuffer& dqkv) {
      pass(t.qkv.as<bf16>(), t.out.as<bf16>(), t.lse.as<float>(), t.dout.as<bf16>(), dqkv.as<bf16>());
    };
    return contest(
        device, [&] { run(library, t.dqkv); }, [&] { run(own, t.own_dqkv); },
        [&] { return relative_distance_on_gpu(device, Dtype::bf16, t.gradients, t.own_dqkv.get(), t.dqkv.get()); });
  });
}

}  // namespace

FusedAttention fastest_attention(Cuda& device, const AttentionShape& shape) {
  FusedAttention chosen = make_fused_attention(device, shape);
  const AttentionForward forward = whole_attention_forward(device, shape);
  if (forward && (!chosen.forward || prefer_forward(device, shape, chosen.forward, forward))) {
    chosen.forward = forward;
    chosen.forward_plan = kWholeHeads;
  }
  if (!shape.backward) return chosen;
  const AttentionBackward backward = whole_attention_backward(device, shape);
  if (backward && (!chosen.backward ||
                   (chosen.forward && prefer_backward(device, shape, chosen.forward, chosen.backward, backward)))) {
    chosen.backward = backward;
    chosen.backward_plan = kWholeHeads;
  }
  return chosen;
}

}  // namespace gpumonth::ops
