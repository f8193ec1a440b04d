// Attention of ranks that share samples (DeepSpeed-Ulysses, arXiv:2309.14509): every rank has T / s tokens with all heads, and
// attends with H / s heads over all tokens. Four all-to-alls bring one to the other and back:
//
//   forward    qkv  (B, T/s, 3, H, d) -> (B, T, 3, H/s, d)     attention     out  (B, T, H/s, d) -> (B, T/s, H, d)
//   backward   dqkv (B, T/s, 3, H, d) <- (B, T, 3, H/s, d)     attention     dout (B, T, H/s, d) <- (B, T/s, H, d)
//
// With one rank it is attention itself, and costs nothing. A rank that is alone (Sequence::alone) packs and unpacks as
// the others would, and sends nothing: what it computes has the right sizes and no meaning.
#pragma once

#include "base/error.h"
#include "trainer/dit/dit_activations.h"
#include "trainer/dit/sequence_part.h"
#include "trainer/ops/attention.h"
#include "trainer/ops/step_timer.h"
#include "trainer/ops/swap_axes.h"

namespace gpumonth::trainer {

template <class Device, class T>
class SplitAttention {
 public:
  /// `own`: of this rank's tokens and all heads. `exchanges`: the most that begin_step() lies before. Collective over the
  /// ranks that share samples. UserError: bf16 values of a rank that are an odd number.
  SplitAttention(Device& device, const ops::AttentionShape& own, const Sequence& sequence, std::int64_t exchanges)
      : device_(device), batch_(own.batch), tokens_(own.tokens), ranks_(sequence.ranks),
        width_(own.heads / sequence.ranks * own.head_dim), exchange_(sequence.exchange),
        attention_(device, {own.batch, own.tokens * ranks_, own.heads / ranks_, own.head_dim, own.backward}),
        timer_(device, exchange_ ? static_cast<int>(2 * exchanges) : 0) {
    if (!sequence.shared()) return;
    const std::int64_t values = batch_ * tokens_ * 3 * ranks_ * width_;
    own_ = ops::Buffer<Device, T>(device, values);
    if (!exchange_) {
      packed_ = ops::Buffer<Device, T>(device, values);
      return;
    }
    const std::int64_t share_bytes = batch_ * tokens_ * width_ * static_cast<std::int64_t>(sizeof(T));
    if (share_bytes % 4 != 0)
      user_error(
          "run.sequence_parallel = {}: {} bf16 values of attention's output go to each rank, an odd number: set run.dtype = "
          "\"fp32\", or an even number of samples for each rank",
          ranks_, share_bytes / 2);
    const auto room = exchange_->allocate(values * static_cast<std::int64_t>(sizeof(T)));
    packed_ = ops::Buffer<Device, T>(room, reinterpret_cast<T*>(room.get()), values);
  }

  /// Where the product writes what becomes `qkv`: (B, T/s, 3, H, d).
  T* qkv_of_tokens(T* qkv) { return ranks_ > 1 ? own_.get() : qkv; }
  /// From there to `qkv`, (B, T, 3, H/s, d).
  void share_heads(T* qkv) {
    if (ranks_ == 1) return;
    const T* received = pass(batch_ * tokens_ * 3, width_, own_.get(), batch_ == 1 ? qkv : own_.get());
    if (batch_ > 1) ops::swap_axes(device_, ranks_, batch_, tokens_ * 3 * width_, received, qkv);
  }

  /// `qkv` as share_heads() leaves it; fills `kept`.
  void forward(const T* qkv, AttentionOutput<Device, T>& kept) {
    if (ranks_ == 1) return attention_.forward(qkv, kept.output.get(), kept.log_sum_exp.get());
    attention_.forward(qkv, kept.of_heads.get(), kept.log_sum_exp.get());
    const T* received = pass(batch_, tokens_ * width_, kept.of_heads.get(), own_.get());
    ops::swap_axes(device_, ranks_, batch_ * tokens_, width_, received, kept.output.get());
  }

  /// dout (B, T/s, H, d) -> dqkv (B, T/s, 3, H, d), overwritten.
  void backward(const T* qkv, const AttentionOutput<Device, T>& kept, const T* dout, T* dqkv) {
    if (ranks_ == 1) return attention_.backward(qkv, kept.output.get(), kept.log_sum_exp.get(), dout, dqkv);
    const T* dout_of_heads = pass(batch_ * tokens_, width_, dout, own_.get());
    T* dqkv_of_heads = packed_.get();  // free again, and sent from there without another copy
    if (batch_ > 1) {
      ops::swap_axes(device_, ranks_, batch_, tokens_ * width_, dout_of_heads, packed_.get());
      dout_of_heads = packed_.get();
      dqkv_of_heads = own_.get();
    }
    attention_.backward(qkv, kept.of_heads.get(), kept.log_sum_exp.get(), dout_of_heads, dqkv_of_heads);
    const T* received = pass(batch_, tokens_ * 3 * width_, dqkv_of_heads, own_.get());
    ops::swap_axes(device_, ranks_, batch_ * tokens_ * 3, width_, received, dqkv);
  }

  /// What follows is counted anew.
  void begin_step() {
    exchanges_ = 0;
    bytes_ = 0;
  }
  /// Inside all-to-alls since begin_step(), once the device is done, also where the same work was replayed since.
  double exchange_seconds() const {
    double sum_s = 0;
    for (int i = 0; i < exchanges_; ++i) sum_s += timer_.seconds(2 * i, 2 * i + 1);
    return sum_s;
  }
  std::int64_t exchanged_bytes() const { return bytes_; }  ///< that this rank sent to others

 private:
  /// Of `from` (rows, s, w) the part [:, r, :] goes to rank r. Where what came from the ranks lies, (s, rows, w): in `inbox`,
  /// which may be `from`; where nothing is sent, what would have been sent, wherever that is least work.
  const T* pass(std::int64_t rows, std::int64_t w, const T* from, T* inbox) {
    const T* sent = from;
    if (rows > 1) {
      T* const packed = exchange_ || inbox == from ? packed_.get() : inbox;
      ops::swap_axes(device_, rows, ranks_, w, from, packed);
      sent = packed;
    }
    if (!exchange_) return sent;
    const std::int64_t bytes = rows * ranks_ * w * static_cast<std::int64_t>(sizeof(T));
    timer_.mark(2 * exchanges_);
    exchange_->run(sent, inbox, bytes);
    timer_.mark(2 * exchanges_ + 1);
    ++exchanges_;
    bytes_ += bytes / ranks_ * (ranks_ - 1);
    return inbox;
  }

  Device& device_;
  std::int64_t batch_, tokens_, ranks_, width_;  // B, T/s, s, H/s d
  std::shared_ptr<comm::Exchange> exchange_;
  ops::Attention<Device, T> attention_;
  ops::Buffer<Device, T> own_;     // (B, T/s, 3, H, d): of this rank's tokens, on the way to others and back
  ops::Buffer<Device, T> packed_;  // the same, by rank
  ops::StepTimer<Device> timer_;   // two marks an exchange
  int exchanges_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace gpumonth::trainer
