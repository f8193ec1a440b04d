// The squared norms of a rank's small gradients: one a micro-batch, before it is added to others. With the norm of the whole
// they give the gradient noise scale (scaling/noise_scale.h).
#pragma once

#include <cstddef>
#include <vector>

#include "comm/gradient_reducer.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/grad_norm.h"

namespace gpumonth::trainer {

template <class Device>
class SmallNorms {
 public:
  SmallNorms() = default;
  SmallNorms(Device& device, const std::vector<comm::Segment>& segments, std::int64_t gradients) : device_(&device) {
    std::int64_t blocks = 0;
    for (const comm::Segment& segment : segments) {
      parts_.push_back({segment.count, blocks});
      blocks += ops::norm_blocks(segment.count);
    }
    blocks_ = blocks;
    partial_ = ops::Buffer<Device, double>(device, blocks * gradients);
    total_ = ops::Buffer<Device, ops::Clipping>(device, 1);
  }

  /// Enqueues the squares of segment `segment` of small gradient `which`, whose values are final: while they are in the cache.
  void add(std::int64_t which, int segment, const float* values) {
    const Part& part = parts_[static_cast<std::size_t>(segment)];
    ops::squares_by_block(*device_, values, part.count, 0, ops::norm_blocks(part.count),
                          partial_.get() + which * blocks_ + part.block);
  }
  /// Enqueues their sum.
  void finish() { ops::clipping(*device_, partial_.get(), partial_.size(), 0, total_.get()); }
  /// After the step: the sum over all small gradients of their squared norms.
  double fetch() {
    ops::Clipping total;
    ops::copy_to_host(*device_, &total, total_.get(), sizeof total);
    return total.norm * total.norm;
  }

 private:
  struct Part {
    std::int64_t count, block;  ///< values; the first of its partial sums
  };
  Device* device_ = nullptr;
  std::vector<Part> parts_;                   // by segment
  std::int64_t blocks_ = 0;                   // partial sums of one gradient
  ops::Buffer<Device, double> partial_;       // (gradients, blocks)
  ops::Buffer<Device, ops::Clipping> total_;  // (1)
};

}  // namespace gpumonth::trainer
