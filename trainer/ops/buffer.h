// Device memory with one owner. Zeroed when made; big buffers sit on huge pages where the system has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

template <class Device>
void* allocate(Device& device, std::size_t bytes);  ///< aligned to 64 bytes or better, zeroed
template <class Device>
void release(Device& device, void* memory, std::size_t bytes);
template <class Device>
void copy_to_device(Device& device, void* target, const void* host, std::size_t bytes);
template <class Device>
void copy_to_host(Device& device, void* host, const void* source, std::size_t bytes);

template <class Device, class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, std::int64_t count)
      : device_(&device), count_(count), data_(static_cast<T*>(allocate(device, bytes()))) {}
  ~Buffer() {
    if (data_) release(*device_, data_, bytes());
  }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  T* get() const { return data_; }
  std::int64_t size() const { return count_; }
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * sizeof(T); }

 private:
  void swap(Buffer& other) {
    std::swap(device_, other.device_);
    std::swap(count_, other.count_);
    std::swap(data_, other.data_);
  }
  Device* device_ = nullptr;
  std::int64_t count_ = 0;
  T* data_ = nullptr;
};

}  // namespace gpumonth::ops
