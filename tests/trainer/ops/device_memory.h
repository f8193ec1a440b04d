// Memory of any device for the tests of ops: what an op reads, and what it writes, which is NaN before and has a margin
// behind it. One test body so runs on every device.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"
#include "trainer/ops/bf16.h"
#include "trainer/ops/buffer.h"

namespace gpumonth::tests {

template <class Device, class T>
ops::Buffer<Device, T> on_device(Device& device, const std::vector<T>& values) {
  ops::Buffer<Device, T> buffer(device, static_cast<std::int64_t>(values.size()));
  ops::copy_to_device(device, buffer.get(), values.data(), buffer.bytes());
  return buffer;
}

template <class Device, class T>
std::vector<T> from_device(Device& device, const ops::Buffer<Device, T>& buffer) {
  std::vector<T> values(static_cast<std::size_t>(buffer.size()));
  ops::copy_to_host(device, values.data(), buffer.get(), buffer.bytes());
  return values;
}

template <class T>
T not_a_number() {
  if constexpr (std::is_same_v<T, ops::bf16>) {
    return ops::bf16{0x7fc0};
  } else {
    return std::numeric_limits<T>::quiet_NaN();
  }
}

/// Memory that an op writes: NaN, or the given values, before; and behind it a margin that must stay as it is.
template <class Device, class T>
class OutputOn {
 public:
  OutputOn(Device& device, std::int64_t count)
      : OutputOn(device, std::vector<T>(static_cast<std::size_t>(count), not_a_number<T>())) {}
  OutputOn(Device& device, const std::vector<T>& values)
      : device_(device), count_(values.size()), buffer_(on_device(device, with_margin(values))) {}

  T* get() const { return buffer_.get(); }

  std::vector<T> values(const std::string& what) const {
    std::vector<T> all = from_device(device_, buffer_);
    const std::vector<T> margin(all.begin() + static_cast<std::ptrdiff_t>(count_), all.end());
    INFO(what << ": written beyond its end");
    CHECK(same_bits(margin, std::vector<T>(kMargin, not_a_number<T>())));
    all.resize(count_);
    return all;
  }

 private:
  static constexpr std::size_t kMargin = 64;
  static std::vector<T> with_margin(std::vector<T> values) {
    values.resize(values.size() + kMargin, not_a_number<T>());
    return values;
  }
  Device& device_;
  std::size_t count_;
  ops::Buffer<Device, T> buffer_;
};

}  // namespace gpumonth::tests
