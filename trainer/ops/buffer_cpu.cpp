#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "trainer/ops/buffer.h"

namespace gpumonth::ops {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kFromHeap = std::size_t{256} << 10;  // smaller ones
constexpr std::size_t kSlab = std::size_t{64} << 20;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

/// Memory from the kernel on huge pages, out of which buffers are cut one behind the other. malloc would give each
/// buffer pages of its own, with a rest of up to 2 MiB, and keep the rests of its heap (B/4, batch 32: 150 MiB).
struct Slab {
  char* begin = nullptr;
  std::size_t size = 0, used = 0;
  int buffers = 0;
};

class Slabs {
 public:
  void* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const std::size_t size = round_up(bytes, kCacheLine) + kStagger;
    if (size > kSlab / 2) return cut(map(size), size);  // the others go on filling the one that they fill
    if (!filling_ || filling_->used + size > filling_->size) filling_ = map(kSlab);
    return cut(filling_, size);
  }

  void give_back(void* memory) {
    const std::lock_guard lock(mutex_);
    const auto slab = std::find_if(slabs_.begin(), slabs_.end(), [memory](const auto& s) {
      return memory >= s->begin && memory < s->begin + s->size;
    });
    if (--(*slab)->buffers > 0) return;
    munmap((*slab)->begin, (*slab)->size);
    if (slab->get() == filling_) filling_ = nullptr;
    slabs_.erase(slab);
  }

 private:
  /// Buffers whose sizes are multiples of a page would all start in the same cache sets.
  static constexpr std::size_t kStagger = 5 * kCacheLine;

  Slab* map(std::size_t bytes) {
    const std::size_t size = round_up(bytes, kHugePage);
    void* room = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) throw std::bad_alloc();
    char* const begin = static_cast<char*>(room);
    const auto address = reinterpret_cast<std::uintptr_t>(room);
    const std::size_t before = round_up(address, kHugePage) - address;
    if (before > 0) munmap(begin, before);
    munmap(begin + before + size, kHugePage - before);
    madvise(begin + before, size, MADV_HUGEPAGE);  // a hint: fewer TLB misses
    slabs_.push_back(std::make_unique<Slab>(Slab{begin + before, size}));
    return slabs_.back().get();
  }

  static void* cut(Slab* slab, std::size_t size) {
    void* memory = slab->begin + slab->used;
    slab->used += size;
    ++slab->buffers;
    return memory;
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<Slab>> slabs_;
  Slab* filling_ = nullptr;
};

Slabs& slabs() {
  static Slabs* const all = new Slabs;  // never destroyed: buffers may outlive static objects
  return *all;
}

}  // namespace

template <>
void* allocate(Cpu&, std::size_t bytes) {
  void* memory = bytes < kFromHeap ? std::aligned_alloc(kCacheLine, round_up(std::max(bytes, kCacheLine), kCacheLine))
                                   : slabs().take(bytes);
  if (!memory) throw std::bad_alloc();
  std::memset(memory, 0, bytes);
  return memory;
}

template <>
void release(Cpu&, void* memory, std::size_t bytes) {
  if (bytes < kFromHeap) {
    std::free(memory);
  } else {
    slabs().give_back(memory);
  }
}

template <>
void copy_to_device(Cpu&, void* target, const void* host, std::size_t bytes) {
  std::memcpy(target, host, bytes);
}

template <>
void copy_to_host(Cpu&, void* host, const void* source, std::size_t bytes) {
  std::memcpy(host, source, bytes);
}

template <>
void synchronize(Cpu&) {}

}  // namespace gpumonth::ops
