// Memory for what ranks of one host need only once - parameters, moments, EMA, packed weights - and who of them updates
// what. Ranks that share memory update a part each and read everything: P ranks that each update all would take turns
// at the memory bus (two ranks of S/2: 65 ms of a 490 ms step, shared 33 ms; measured on Zen 5), and hold P copies.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "comm/gradient_reducer.h"
#include "comm/transport.h"
#include "trainer/ops/buffer.h"

namespace gpumonth::trainer {

template <class Device>
class StateMemory {
 public:
  /// Collective. `transport` null: memory of its own.
  StateMemory(Device& device, comm::Transport* transport) : device_(device) {
    if (!transport || transport->ranks().size() == 1) return;
    probe_ = transport->allocate_common(1);
    if (probe_) transport_ = transport;
  }

  /// Collective. Zeroed.
  template <class T>
  ops::Buffer<Device, T> take(std::int64_t count) {
    if (!transport_) return ops::Buffer<Device, T>(device_, count);
    auto memory = transport_->allocate_common(static_cast<std::size_t>(count) * sizeof(T));
    if (!memory) throw std::runtime_error("the ranks of this host cannot share more memory: start fewer of them");
    T* data = reinterpret_cast<T*>(memory.get());
    return {std::move(memory), data, count};
  }

  int part() const { return transport_ ? transport_->ranks().rank() : 0; }
  int parts() const { return transport_ ? transport_->ranks().size() : 1; }
  void barrier() {
    if (transport_) transport_->ranks().barrier();
  }

  /// The segments that this rank updates: the biggest first to whoever has least, so that all end together.
  std::vector<int> owned(const std::vector<comm::Segment>& segments) const {
    std::vector<int> order(segments.size()), mine;
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    if (parts() == 1) return order;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return segments[a].count > segments[b].count; });
    std::vector<std::int64_t> load(parts());
    for (const int segment : order) {
      const auto least = std::min_element(load.begin(), load.end());
      *least += segments[segment].count;
      if (least - load.begin() == part()) mine.push_back(segment);
    }
    return mine;
  }

 private:
  Device& device_;
  std::shared_ptr<std::byte[]> probe_;
  comm::Transport* transport_ = nullptr;
};

}  // namespace gpumonth::trainer
