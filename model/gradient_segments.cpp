#include "model/gradient_segments.h"

#include <fmt/format.h>

namespace gpumonth::model {

std::vector<Segment> gradient_segments(const ModelConfig& model, const ParameterTable& table) {
  const SegmentOrder order{model.depth};
  const std::int64_t h = model.hidden_size;
  const auto weight = [&](const std::string& layer) { return table.at(layer + ".weight").offset; };
  // A segment starts where its tensor does and ends where the next one of the same region does.
  std::vector<std::int64_t> start(order.count());
  start[SegmentOrder::kFinalLinear] = weight("final_layer.linear");
  for (int l = model.depth - 1; l >= 0; --l) {
    const std::string block = fmt::format("blocks.{}.", l);
    start[order.block(l, SegmentOrder::kFc2)] = weight(block + "mlp.fc2");
    start[order.block(l, SegmentOrder::kFc1)] = weight(block + "mlp.fc1");
    start[order.block(l, SegmentOrder::kProj)] = weight(block + "attn.proj");
    start[order.block(l, SegmentOrder::kQkv)] = weight(block + "attn.qkv");
  }
  start[order.patch_embedding()] = weight("x_embedder.proj");
  start[order.conditioning()] = weight("t_embedder.mlp.2");
  std::vector<Segment> segments(order.count());
  std::int64_t end = weight("final_layer.adaLN_modulation.1");
  for (int e = order.count() - 1; e >= 0; --e) {
    const bool is_adaln = e == SegmentOrder::kFinalAdaln || e == order.adaln_bias() ||
                          (order.is_block(e) && order.in_block(e) == SegmentOrder::kAdaln);
    if (is_adaln) continue;
    segments[e] = {start[e], end - start[e]};
    end = start[e];
  }
  segments[SegmentOrder::kFinalAdaln] = {weight("final_layer.adaLN_modulation.1"), 2 * h * h};
  for (int l = 0; l < model.depth; ++l)
    segments[order.block(l, SegmentOrder::kAdaln)] = {weight(fmt::format("blocks.{}.adaLN_modulation.1", l)),
                                                      6 * h * h};
  segments[order.adaln_bias()] = {table.at("final_layer.adaLN_modulation.1.bias").offset, (2 + 6 * model.depth) * h};
  return segments;
}

std::vector<std::int64_t> backward_macs(const ModelConfig& model, Recompute recompute) {
  const SegmentOrder order{model.depth};
  const std::int64_t T = model.tokens(), h = model.hidden_size, m = model.mlp_hidden();
  const std::int64_t square = T * h * h, mlp = T * h * m, attention = 2 * T * T * h;
  const std::int64_t again = 4 * square + 2 * mlp + (recompute == Recompute::full ? attention : 0);
  std::vector<std::int64_t> macs(order.count());
  std::int64_t done = 0;
  const auto ready = [&](int segment, std::int64_t since) { macs[segment] = done += since; };
  const std::int64_t last = T * model.patch_out() * h;
  ready(SegmentOrder::kFinalLinear, last);
  ready(SegmentOrder::kFinalAdaln, last + 2 * h * h);
  for (int l = model.depth - 1; l >= 0; --l) {
    ready(order.block(l, SegmentOrder::kFc2), mlp);
    ready(order.block(l, SegmentOrder::kFc1), 2 * mlp);
    ready(order.block(l, SegmentOrder::kProj), mlp + square);
    ready(order.block(l, SegmentOrder::kQkv), square + 2 * attention + 3 * square);
    // the block below again, unless it is one of the two topmost, which are still there
    const bool recomputed = recompute != Recompute::none && l > 0 && l - 1 < model.depth - 2;
    ready(order.block(l, SegmentOrder::kAdaln), 3 * square + (recomputed ? again : 0) + 6 * h * h);
  }
  ready(order.patch_embedding(), T * model.patch_in() * h);
  const std::int64_t modulation = (2 + 6 * std::int64_t{model.depth}) * h * h;
  ready(order.adaln_bias(), modulation + 2 * h * h + kFrequencyEmbeddingSize * h);
  ready(order.conditioning(), 0);
  return macs;
}

}  // namespace gpumonth::model
