#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "trainer/ops/buffer.h"

namespace gpumonth::ops {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

std::size_t round_up(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

}  // namespace

template <>
void* allocate(Cpu&, std::size_t bytes) {
  const std::size_t alignment = bytes >= 2 * kHugePage ? kHugePage : 64;
  const std::size_t size = round_up(bytes > 0 ? bytes : 1, alignment);
  void* memory = std::aligned_alloc(alignment, size);
  if (!memory) throw std::bad_alloc();
  if (alignment == kHugePage) madvise(memory, size, MADV_HUGEPAGE);  // a hint: fewer TLB misses
  std::memset(memory, 0, size);
  return memory;
}

template <>
void release(Cpu&, void* memory, std::size_t) {
  std::free(memory);
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
