// Memory for what ranks of one host need only once - parameters, moments, EMA, packed weights - and who of them updates
// what. Ranks that share memory update a part each and read everything: P ranks that each update all would take turns
// at the memory bus (two ranks of S/2: 65 ms of a 490 ms step, shared 33 ms; measured on Zen 5), and hold P copies.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "comm/communicator.h"
#include "comm/gradient_reducer.h"
#include "trainer/ops/buffer.h"

namespace gpumonth::trainer {

template <class Device>
class StateMemory {
 public:
  /// Collective. `ranks` null: memory of its own.
  StateMemory(Device& device, comm::Communicator* ranks) : device_(device) {
    if (!ranks || ranks->size() == 1) return;
    probe_ = ranks->allocate_common(1);
    if (probe_) ranks_ = ranks;
  }

  /// Collective. Zeroed.
  template <class T>
  ops::Buffer<Device, T> take(std::int64_t count) {
    if (!ranks_) return ops::Buffer<Device, T>(device_, count);
    auto memory = ranks_->allocate_common(static_cast<std::size_t>(count) * sizeof(T));
    if (!memory) throw std::runtime_error("the ranks of this host cannot share more memory: start fewer of them");
    T* data = reinterpret_cast<T*>(memory.get());
    return {std::move(memory), data, count};
  }

  int part() const { return ranks_ ? ranks_->rank() : 0; }
  int parts() const { return ranks_ ? ranks_->size() : 1; }
  void barrier() {
    if (ranks_) ranks_->barrier();
  }

  /// The events that this rank updates: the biggest first to whoever has least, so that all end together.
  std::vector<int> owned(const std::vector<comm::Segment>& events) const {
    std::vector<int> order(events.size()), mine;
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
    if (parts() == 1) return order;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return events[a].count > events[b].count; });
    std::vector<std::int64_t> load(parts());
    for (const int event : order) {
      const auto least = std::min_element(load.begin(), load.end());
      *least += events[event].count;
      if (least - load.begin() == part()) mine.push_back(event);
    }
    return mine;
  }

 private:
  Device& device_;
  std::shared_ptr<std::byte[]> probe_;
  comm::Communicator* ranks_ = nullptr;
};

}  // namespace gpumonth::trainer
