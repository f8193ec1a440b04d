#include "model/gradient_segments.h"

#include "model/flops.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::model;

TEST_CASE("segments are every parameter once, and nothing but padding beside") {
  ModelConfig m;
  m.depth = 3;
  m.hidden_size = 48;
  m.num_heads = 3;
  const ParameterTable table(m);
  std::vector<int> covered(static_cast<std::size_t>(table.flat_size()));
  const auto segments = gradient_segments(m, table);
  CHECK(static_cast<int>(segments.size()) == SegmentOrder{3}.count());
  for (const Segment& s : segments)
    for (std::int64_t i = s.offset; i < s.offset + s.count; ++i) ++covered.at(static_cast<std::size_t>(i));
  for (const Parameter& p : table.all())
    for (std::int64_t i = p.offset; i < p.offset + p.count; ++i) REQUIRE(covered[static_cast<std::size_t>(i)] == 1);
  CHECK(*std::max_element(covered.begin(), covered.end()) == 1);
}

TEST_CASE("backward's MACs by hand") {
  ModelConfig m;
  m.input_size = 8;  // T = 16 tokens
  m.hidden_size = 10;
  m.mlp_ratio = 4;  // 40 wide
  m.num_heads = 1;
  m.depth = 1;
  const auto macs = backward_macs(m, Recompute::none);
  // h^2 T = 1600, T h mlp = 6400, one of the two attention products 2560, patch in 16, out 32 values
  const std::vector<std::int64_t> expected = {
      5120,                            // weights of the final layer: 16 x 32 x 10
      5120 + 5120 + 200,               // its data, its adaLN's weights
      10440 + 6400,                    // fc2's weights
      16840 + 2 * 6400,                // its data, fc1's weights
      29640 + 6400 + 1600,             // its data, proj's weights
      37640 + 1600 + 4 * 2560 + 4800,  // its data, attention, qkv's weights
      54280 + 4800 + 600,              // its data, adaLN's weights
      59680 + 2560,                    // patch embedding: 16 x 16 x 10
      62240 + 800 + 200 + 2560,        // adaLN's data, the two of the timestep
      65800,
  };
  CHECK(macs == expected);
}

TEST_CASE("of a large model it is twice the forward, and with recompute the blocks again") {
  ModelConfig m;  // XL/2
  const auto plain = backward_macs(m, Recompute::none), again = backward_macs(m, Recompute::full);
  CHECK(std::is_sorted(plain.begin(), plain.end()));
  CHECK(static_cast<double>(plain.back()) == Approx(2 * static_cast<double>(forward_macs(m))).epsilon(1e-3));
  CHECK(2 * (again.back() - plain.back()) == recompute_flops(m));
  CHECK(2 * (backward_macs(m, Recompute::linear).back() - plain.back()) == recompute_flops(m, Recompute::linear));
  CHECK(again[SegmentOrder{m.depth}.block(m.depth - 2, SegmentOrder::kQkv)] ==
        plain[SegmentOrder{m.depth}.block(m.depth - 2, SegmentOrder::kQkv)]);
}
