// The emulated GPU's memory: host memory that only work on the GPU may touch. Each allocation is filled with
// NaNs and ends at a page that nobody may touch, so a read or write behind it, or of device memory by the
// host, ends the program with a line that says so.
#pragma once

#include <cstddef>

namespace gpumonth::emulator {

/// Device memory may be touched while one of these exists. Made with the_lock() held.
class MemoryOpen {
 public:
  MemoryOpen();
  ~MemoryOpen();
  MemoryOpen(const MemoryOpen&) = delete;
  MemoryOpen& operator=(const MemoryOpen&) = delete;
};

enum class Place { device, pinned, pageable };

/// Where `pointer` points to, also into the middle of an allocation.
Place place_of(const void* pointer);

/// Whether `bytes` from `pointer` on lie in one allocation of the device.
bool on_device(const void* pointer, std::size_t bytes);

}  // namespace gpumonth::emulator
