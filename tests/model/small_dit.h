// A DiT whose every size can be counted by hand, with its units of full sharding:
//   block        fc2 256 x 64 + 64, fc1 64 x 256 + 256, proj 64 x 64 + 64, qkv 64 x 192 + 192: 49,728; adaLN 6 x 64 x 64: 24,576
//   no block     final layer 64 x 32 + 32, to a multiple of 64: 2,112, its adaLN 2 x 64 x 64: 8,192; patches 16 x 64 + 64:
//                1,088; biases of adaLN 20 x 64: 1,280; timestep 64 x 64 + 64 + 256 x 64 + 64 and 11 labels x 64: 21,312
#pragma once

#include "model/config.h"

namespace gpumonth::tests {

constexpr std::int64_t kBlockProducts = 49'728, kBlockAdaln = 24'576, kBlock = 74'304, kOuter = 33'984,
                       kElements = kOuter + 3 * kBlock;

inline model::ModelConfig small_dit() {
  model::ModelConfig m;
  m.input_size = 8;  // 16 tokens of 16 values, 32 predicted
  m.hidden_size = 64;
  m.depth = 3;
  m.num_heads = 4;
  m.num_classes = 10;
  return m;
}

}  // namespace gpumonth::tests
