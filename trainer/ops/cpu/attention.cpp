// Work is cut so that one score block and its gradient stay in the L2 cache: into groups of heads where a head's scores fit
// (attention_whole.h), else into heads that go over their scores tile by tile (attention_tiles.h). Each thread runs its own
// single-threaded oneDNN products; in fp32 its own ones (attention_panels.h) where it can.
#include <type_traits>
#include <vector>

#include "trainer/ops/attention_impl.h"
#include "trainer/ops/cpu/attention_panels.h"
#include "trainer/ops/cpu/attention_tiles.h"
#include "trainer/ops/cpu/attention_whole.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kTile = 256;  // tokens: fp32 scores of 256 KiB, with P beside them half of a 1 MiB L2

template <class T>
bool by_panels(const AttentionShape& s) {
  return std::is_same_v<T, float> && PanelHead::takes(s);
}

template <class T>
std::int64_t heads_of_group(const AttentionShape& s) {
  return s.tokens > kTile || by_panels<T>(s) ? 1 : largest_divisor(s.heads, kTile * kTile / (s.tokens * s.tokens));
}

}  // namespace

template <class T>
struct AttentionImpl<Cpu, T> {
  AttentionShape shape;
  std::int64_t group;  ///< heads at once
  Cpu cpu;
  std::vector<WholeHeads<T>> whole;  // one of the three, by thread
  std::vector<TiledHead<T>> tiled;
  std::vector<PanelHead> panels;

  AttentionImpl(const Cpu& device, const AttentionShape& s) : shape(s), group(heads_of_group<T>(s)), cpu(device) {
    for (int i = 0; i < cpu.threads; ++i)
      if (by_panels<T>(s))
        panels.emplace_back(s);
      else if (s.tokens > kTile)
        tiled.emplace_back(s, kTile);
      else
        whole.emplace_back(s, group);
  }

  /// f(heads of this thread, where the group begins in qkv, in out, in the log-sum-exps) for every group.
  template <class F>
  void for_each_group(F&& f) {
    const std::int64_t groups = shape.heads / group, t = shape.tokens, d = shape.head_dim, h = shape.heads * d;
    const auto in_qkv = [&](std::int64_t i) { return i / groups * t * 3 * h + i % groups * group * d; };
    const auto in_out = [&](std::int64_t i) { return i / groups * t * h + i % groups * group * d; };
    const std::int64_t count = shape.batch * groups;
    parallel_blocks(cpu, count, [&](int thread, std::int64_t i, std::int64_t next) {
      const std::int64_t in = in_qkv(i), at = in_out(i), row = i * group * t;
      if constexpr (std::is_same_v<T, float>)
        if (!panels.empty()) {
          const bool more = next < count;
          panels[thread].expect(more ? in_qkv(next) - in : 0, more ? in_out(next) - at : 0);
          return f(panels[thread], in, at, row);
        }
      if (tiled.empty())
        f(whole[thread], in, at, row);
      else
        f(tiled[thread], in, at, row);
    });
  }

  void forward(const T* qkv, T* out, float* lse) {
    for_each_group([&](auto& heads, std::int64_t in, std::int64_t at, std::int64_t row) {
      heads.forward(qkv + in, out + at, lse + row);
    });
  }

  void backward(const T* qkv, const T* out, const float* lse, const T* dout, T* dqkv) {
    for_each_group([&](auto& heads, std::int64_t in, std::int64_t at, std::int64_t row) {
      heads.backward(qkv + in, out + at, lse + row, dout + at, dqkv + in);
    });
  }
};

template class Attention<Cpu, float>;
template class Attention<Cpu, bf16>;

}  // namespace gpumonth::ops
