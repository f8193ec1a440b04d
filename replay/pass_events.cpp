#include "replay/pass_events.h"

#include "model/flops.h"
#include "model/gradient_segments.h"

namespace gpumonth::replay {
namespace {

using Kind = PassEvent::Kind;

constexpr int kQkv = 3, kOutput = 1;  // tensors of an all-to-all

/// Work that is done one part after another, as a stretch of the pass's share.
class Stretch {
 public:
  Stretch(double from, double to, double work) : from_(from), to_(to), work_(work) {}
  /// Where the stretch is once so much more is done.
  double after(double work) {
    done_ += work;
    return work_ > 0 ? from_ + (to_ - from_) * done_ / work_ : to_;
  }

 private:
  double from_, to_, work_, done_ = 0;
};

class Builder {
 public:
  explicit Builder(const PassPlan& plan) : plan_(plan), order_{plan.depth()} {}

  std::vector<PassEvent> forward() {
    double at = 0;
    if (plan_.gathers) add(Kind::need, kNoBlock, at);
    at += plan_.forward.front();
    const BlockParts& b = plan_.block;
    for (int block = 0; block < plan_.depth(); ++block) {
      const double end = at + plan_.forward[static_cast<std::size_t>(block) + 1];
      Stretch inside(at, end, b.all());
      if (plan_.gathers) add(Kind::need, block, at);
      if (plan_.exchanges) {
        add(Kind::exchange, kQkv, inside.after(b.modulation + b.qkv));
        add(Kind::exchange, kOutput, inside.after(b.attention));
      }
      if (plan_.gathers) add(Kind::done, block, end);
      at = end;
    }
    return std::move(events_);
  }

  std::vector<PassEvent> backward() {
    ready(model::SegmentOrder::kFinalLinear);
    ready(model::SegmentOrder::kFinalAdaln);
    for (int block = plan_.depth() - 1; block >= 0; --block) block_backward(block);
    for (const int s : {order_.patch_embedding(), order_.adaln_bias(), order_.conditioning()}) ready(s);
    return std::move(events_);
  }

 private:
  void add(Kind kind, int index, double share) { events_.push_back({kind, index, share}); }
  double share(int segment) const { return plan_.ready[static_cast<std::size_t>(segment)]; }

  void ready(int segment) {
    for (; bucket_ < plan_.buckets.size() && plan_.buckets[bucket_] == segment; ++bucket_)
      add(Kind::ready, static_cast<int>(bucket_), share(segment));
  }

  void block_backward(int block) {
    using Order = model::SegmentOrder;
    const BlockParts& b = plan_.block;
    const auto segment = [&](Order::InBlock which) { return order_.block(block, which); };
    for (const auto which : {Order::kFc2, Order::kFc1, Order::kProj}) ready(segment(which));
    if (plan_.exchanges) {
      Stretch inside(share(segment(Order::kProj)), share(segment(Order::kQkv)), b.proj + 2 * b.attention + b.qkv);
      add(Kind::exchange, kOutput, inside.after(b.proj));
      add(Kind::exchange, kQkv, inside.after(2 * b.attention));
    }
    ready(segment(Order::kQkv));
    if (block > 0) before_below(block, share(segment(Order::kQkv)), share(segment(Order::kAdaln)));
    ready(segment(Order::kAdaln));
    if (plan_.gathers) add(Kind::done, block, share(segment(Order::kAdaln)));
  }

  /// The end of a block's backward, which computes the block below again and begins its gradients.
  void before_below(int block, double from, double to) {
    const BlockParts& b = plan_.block;
    const bool again = plan_.recompute != model::Recompute::none && block - 1 < plan_.depth() - 2;
    const bool attends = again && plan_.recompute == model::Recompute::full;
    const double again_work = again ? b.qkv + (attends ? b.attention : 0) + b.proj + b.mlp : 0;
    Stretch inside(from, to, b.qkv + again_work + b.modulation);
    const double below = inside.after(b.qkv);
    if (plan_.gathers) add(Kind::need, block - 1, below);
    if (!plan_.exchanges || !again) return;
    add(Kind::exchange, kQkv, inside.after(b.qkv));
    if (attends) add(Kind::exchange, kOutput, inside.after(b.attention));
  }

  const PassPlan& plan_;
  model::SegmentOrder order_;
  std::vector<PassEvent> events_;
  std::size_t bucket_ = 0;
};

}  // namespace

BlockParts block_parts(const model::ModelConfig& m) {
  const auto h = static_cast<double>(m.hidden_size), T = static_cast<double>(m.tokens());
  return {.modulation = 6 * h * h,
          .qkv = 3 * T * h * h,
          .attention = model::block_forward_macs(m, T).attention,
          .proj = T * h * h,
          .mlp = 2 * T * h * m.mlp_hidden()};
}

std::vector<double> forward_shares(const model::ModelConfig& m) {
  const auto h = static_cast<double>(m.hidden_size), T = static_cast<double>(m.tokens());
  std::vector<double> shares(static_cast<std::size_t>(m.depth) + 2, block_parts(m).all());
  shares.front() = T * m.patch_in() * h + model::kFrequencyEmbeddingSize * h + h * h;
  shares.back() = 2 * h * h + T * m.patch_out() * h;
  const double all = static_cast<double>(model::forward_macs(m));
  for (double& share : shares) share /= all;
  return shares;
}

PassEvents pass_events(const PassPlan& plan) { return {Builder(plan).forward(), Builder(plan).backward()}; }

}  // namespace gpumonth::replay
