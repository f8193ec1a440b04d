#include "trainer/dit/dit_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "trainer/dit/dit_setup.h"

namespace gpumonth::trainer {
namespace {

std::int64_t next_aligned(std::int64_t at) {
  return (at + model::kParameterAlignment - 1) / model::kParameterAlignment * model::kParameterAlignment;
}

/// adaLN weights of two blocks, which alone are read in fp32 only; the outer unit; the other weights of two blocks.
void place_in_slots(DitOffsets& o) {
  const SegmentOrder& order = o.order;
  o.rooms = std::min(kBlockSlots, order.depth);
  const auto place = [&](int segment) {
    o.places[segment] = o.size;
    o.size = next_aligned(o.size + o.segments[segment].count);
  };
  const auto place_blocks = [&](auto&& which) {
    for (int l = 0; l < o.rooms; ++l)
      for (int s = 0; s < SegmentOrder::kPerBlock; ++s)
        if (which(s)) place(order.block(l, static_cast<SegmentOrder::InBlock>(s)));
  };
  place_blocks([](int s) { return s == SegmentOrder::kAdaln; });
  o.typed.offset = o.size;
  for (int s = 0; s < order.count(); ++s)
    if (!order.is_block(s)) place(s);
  o.fp32 = {0, o.size};
  place_blocks([](int s) { return s != SegmentOrder::kAdaln; });
  o.typed.count = o.size - o.typed.offset;
  for (int s = 0; s < order.count(); ++s) {
    if (!order.is_block(s) || order.layer(s) < o.rooms) continue;
    const int room = order.block(order.layer(s) % o.rooms, order.in_block(s));
    if (o.segments[s].count != o.segments[room].count) throw std::logic_error("blocks of different sizes");
    o.places[s] = o.places[room];
  }
}

}  // namespace

DitOffsets::DitOffsets(const model::ModelConfig& model, const model::ParameterTable& table, Placement where)
    : order{model.depth}, segments(model::gradient_segments(model, table)), places(segments.size()), placement(where) {
  if (where == Placement::slots) {
    place_in_slots(*this);
  } else {
    for (std::size_t s = 0; s < segments.size(); ++s) places[s] = segments[s].offset;
    size = table.flat_size();
    rooms = model.depth;
    typed = fp32 = {0, size};
  }
  const auto at = [&](const std::string& tensor) {
    const std::int64_t flat = table.at(tensor).offset;
    for (std::size_t s = 0; s < segments.size(); ++s)
      if (flat >= segments[s].offset && flat < segments[s].offset + segments[s].count)
        return places[s] + flat - segments[s].offset;
    throw std::logic_error(tensor + " is in no segment");
  };
  const auto linear = [&](const std::string& name) { return LinearOffsets{at(name + ".weight"), at(name + ".bias")}; };
  final_linear = linear("final_layer.linear");
  patch = linear("x_embedder.proj");
  time_in = linear("t_embedder.mlp.0");
  time_out = linear("t_embedder.mlp.2");
  label_table = at("y_embedder.embedding_table.weight");
  adaln = linear("final_layer.adaLN_modulation.1");
  blocks.resize(model.depth);
  for (int l = 0; l < model.depth; ++l) {
    const std::string name = fmt::format("blocks.{}.", l);
    blocks[l] = {linear(name + "attn.qkv"), linear(name + "attn.proj"), linear(name + "mlp.fc1"),
                 linear(name + "mlp.fc2"), at(name + "adaLN_modulation.1.weight")};
  }
}

std::shared_ptr<const FullSharding> make_full_sharding(const model::ModelConfig& model,
                                                       const model::ParameterTable& table, comm::Transport& transport,
                                                       int group, bool gpu_bf16) {
  const DitOffsets o(model, table, Placement::slots);
  const int ranks = group > 0 ? group : transport.ranks().size();
  std::vector<comm::ShardedSegment> segments;
  for (int s = 0; s < o.order.count(); ++s) {
    segments.push_back({o.segments[s], o.order.layer(s), o.places[s], o.order.is_product(s)});
  }
  const auto full = std::make_shared<FullSharding>(
      FullSharding{.layout = comm::ShardLayout(std::move(segments), transport.ranks().rank() % ranks, ranks),
                   .weights = transport.allocate(gpu_bf16 ? o.fp32.count : o.size),
                   .typed_weights = nullptr});
  if (gpu_bf16) full->typed_weights = transport.allocate((o.typed.count + 1) / 2);
  return full;
}

}  // namespace gpumonth::trainer
