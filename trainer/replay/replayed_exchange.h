// The all-to-alls of ranks that share samples in a replay: bytes of nothing over the real exchange, timed as in
// dit/split_attention.h. Included only where it is instantiated.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "comm/exchange.h"
#include "comm/transport.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/step_timer.h"

namespace gpumonth::trainer {

template <class Device>
class ReplayedExchange {
 public:
  static constexpr int kMostTensors = 3;  ///< q, k and v

  /// Between `ranks` consecutive ones, whose tensors have `tensor_bytes`; as many all-to-alls a step. Collective.
  ReplayedExchange(Device& device, comm::Transport& transport, int ranks, std::int64_t tensor_bytes, int a_step,
                   void* stream)
      : exchange_(transport.make_exchange(ranks, stream)), tensor_bytes_(tensor_bytes),
        sent_(exchange_->allocate(kMostTensors * tensor_bytes)),
        received_(device, kMostTensors * tensor_bytes / static_cast<std::int64_t>(sizeof(float))),
        timer_(device, 2 * a_step) {
    // pages of the host's memory that were never written are one and the same
    if constexpr (Device::kHostMemory) std::fill_n(sent_.get(), kMostTensors * tensor_bytes, std::byte{0});
  }

  void begin_step() {
    count_ = 0;
    bytes_ = 0;
  }
  /// Of so many tensors; enqueues, or blocks.
  void run(int tensors) {
    const std::int64_t bytes = tensors * tensor_bytes_;
    timer_.mark(2 * count_);
    exchange_->run(sent_.get(), received_.get(), bytes);
    timer_.mark(2 * count_ + 1);
    ++count_;
    bytes_ += bytes / exchange_->size() * (exchange_->size() - 1);
  }
  /// Since begin_step(), also where the same work was replayed since: what this rank sent to others, and, once the device is
  /// done, the time inside.
  std::int64_t bytes() const { return bytes_; }
  double seconds() const {
    double sum_s = 0;
    for (int i = 0; i < count_; ++i) sum_s += timer_.seconds(2 * i, 2 * i + 1);
    return sum_s;
  }

 private:
  std::unique_ptr<comm::Exchange> exchange_;
  std::int64_t tensor_bytes_;
  std::shared_ptr<std::byte[]> sent_;
  ops::Buffer<Device, float> received_;
  ops::StepTimer<Device> timer_;  // two marks an all-to-all
  int count_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace gpumonth::trainer
