// Device memory with one owner. Zeroed when made; big buffers sit on huge pages where the system has them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

void* allocate(Cpu& cpu, std::size_t bytes);  ///< aligned to 64 bytes or better, zeroed
void* allocate(Cuda& cuda, std::size_t bytes);
void release(Cpu& cpu, void* memory, std::size_t bytes);
void release(Cuda& cuda, void* memory, std::size_t bytes);
/// In stream order; `host` may be reused when it returns.
void copy_to_device(Cpu& cpu, void* target, const void* host, std::size_t bytes);
void copy_to_device(Cuda& cuda, void* target, const void* host, std::size_t bytes);
/// Returns when the bytes are there.
void copy_to_host(Cpu& cpu, void* host, const void* source, std::size_t bytes);
void copy_to_host(Cuda& cuda, void* host, const void* source, std::size_t bytes);
/// Returns when everything enqueued is done.
void synchronize(Cpu& cpu);
void synchronize(Cuda& cuda);

/// Bytes that this process's Buffers hold now, without what has another owner. Tests hold model/memory.h against it.
inline std::atomic<std::int64_t> live_buffer_bytes{0};

template <class Device, class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(Device& device, std::int64_t count)
      : device_(&device), count_(count), data_(static_cast<T*>(allocate(device, bytes()))) {
    live_buffer_bytes += static_cast<std::int64_t>(bytes());
  }
  /// Memory of another owner, kept alive by `owner`.
  Buffer(std::shared_ptr<void> owner, T* data, std::int64_t count)
      : owner_(std::move(owner)), count_(count), data_(data) {}
  ~Buffer() {
    if (!device_) return;
    release(*device_, data_, bytes());
    live_buffer_bytes -= static_cast<std::int64_t>(bytes());
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
    std::swap(owner_, other.owner_);
    std::swap(count_, other.count_);
    std::swap(data_, other.data_);
  }
  Device* device_ = nullptr;  // null: not released here
  std::shared_ptr<void> owner_;
  std::int64_t count_ = 0;
  T* data_ = nullptr;
};

}  // namespace gpumonth::ops
