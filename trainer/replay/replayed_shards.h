// Full sharding in a replay: the memory that a reducer gathers weights of nothing in, of the real sizes times
// WhatIf::byte_scale. Included only where it is instantiated.
#pragma once

#include <algorithm>
#include <memory>

#include "comm/sharded_storage.h"
#include "comm/transport.h"
#include "trainer/ops/buffer.h"

namespace gpumonth::trainer {

template <class Device>
class ReplayedShards {
 public:
  /// `gradients`: layout.storage_size() elements from transport.allocate(). `bf16`: weights of products travel in it. Collective.
  ReplayedShards(Device& device, const comm::ShardLayout& layout, comm::Transport& transport, float* gradients,
                 bool bf16, int passes)
      : weights_(transport.allocate(layout.storage_size())), shard_(device, layout.size()),
        gradient_shard_(device, layout.size()), storage_{.layout = layout,
                                                         .weights = weights_.get(),
                                                         .gradients = gradients,
                                                         .shard = shard_.get(),
                                                         .gradient_shard = gradient_shard_.get(),
                                                         .passes = passes} {
    // pages of the host's memory that were never written are one and the same
    if constexpr (Device::kHostMemory) std::fill_n(shard_.get(), shard_.size(), 0.0f);
    if (bf16) {
      typed_weights_ = transport.allocate((layout.storage_size() + 1) / 2);
      storage_.typed_weights = typed_weights_.get();
      storage_.typed_shard = shard_.get();  // of as many elements: any values do
    }
  }

  const comm::ShardedStorage& storage() const { return storage_; }

 private:
  std::shared_ptr<float[]> weights_, typed_weights_;
  ops::Buffer<Device, float> shard_, gradient_shard_;
  comm::ShardedStorage storage_;
};

}  // namespace gpumonth::trainer
