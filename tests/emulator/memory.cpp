// cudaMalloc and its like. GPUMONTH_EMULATED_GPU_BYTES: the GPU's memory, 80 GiB by default; of the host's it
// takes what is used.
#include "tests/emulator/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

#include "tests/emulator/schedule.h"

namespace gpumonth::emulator {
namespace {

constexpr std::size_t kPage = 4096, kAlignment = 256, kFilled = 4 << 20;  // of each end with NaNs

struct Allocation {
  char* pages = nullptr;
  std::size_t page_bytes = 0;  ///< without the closed pages before and behind
  std::size_t bytes = 0;
};

std::map<const char*, Allocation>& device_memory() {
  static auto* all = new std::map<const char*, Allocation>;
  return *all;
}
std::map<const char*, std::size_t>& pinned_memory() {
  static auto* all = new std::map<const char*, std::size_t>;
  return *all;
}

std::size_t capacity() {
  const char* given = std::getenv("GPUMONTH_EMULATED_GPU_BYTES");
  return given ? std::strtoull(given, nullptr, 10) : std::size_t{80} << 30;
}

std::size_t in_use() {
  std::size_t bytes = 0;
  for (const auto& [pointer, a] : device_memory()) bytes += a.page_bytes;
  return bytes;
}

int open_count = 0;

void protect_all(int protection) {
  for (const auto& [pointer, a] : device_memory()) mprotect(a.pages, a.page_bytes, protection);
}

/// Not safe in a signal handler by the letter; the program ends here anyway.
void explain(int signal, siginfo_t* info, void*) {
  const char* at = static_cast<const char*>(info->si_addr);
  for (const auto& [pointer, a] : device_memory()) {
    if (at < a.pages - kPage || at >= a.pages + a.page_bytes + kPage) continue;
    if (at >= pointer && at < pointer + a.bytes)
      std::fprintf(stderr, "emulated GPU: the host touched byte %td of %zu of a device allocation\n", at - pointer,
                   a.bytes);
    else
      std::fprintf(stderr, "emulated GPU: byte %td of a device allocation of %zu was touched\n", at - pointer, a.bytes);
  }
  std::signal(signal, SIG_DFL);  // the instruction is done again, and then it is the usual end
}

const bool handler = [] {
  struct sigaction action {};
  action.sa_sigaction = explain;
  action.sa_flags = SA_SIGINFO;
  return sigaction(SIGSEGV, &action, nullptr) == 0;
}();

template <class Map, class Bytes>
auto find(Map& map, const char* pointer, const Bytes& bytes) {
  auto next = map.upper_bound(pointer);
  if (next == map.begin()) return map.end();
  --next;
  return pointer < next->first + bytes(next->second) ? next : map.end();
}

auto find_device(const void* pointer) {
  return find(device_memory(), static_cast<const char*>(pointer), [](const Allocation& a) { return a.bytes; });
}

}  // namespace

MemoryOpen::MemoryOpen() {
  if (open_count++ == 0) protect_all(PROT_READ | PROT_WRITE);
}
MemoryOpen::~MemoryOpen() {
  if (--open_count == 0) protect_all(PROT_NONE);
}

Place place_of(const void* pointer) {
  const std::lock_guard lock(the_lock());
  if (find_device(pointer) != device_memory().end()) return Place::device;
  const auto pinned = find(pinned_memory(), static_cast<const char*>(pointer), [](std::size_t bytes) { return bytes; });
  return pinned == pinned_memory().end() ? Place::pageable : Place::pinned;
}

bool on_device(const void* pointer, std::size_t bytes) {
  const std::lock_guard lock(the_lock());
  const auto found = find_device(pointer);
  if (found == device_memory().end()) return false;
  return static_cast<const char*>(pointer) + bytes <= found->first + found->second.bytes;
}

namespace {

/// The copy itself, when its turn comes.
Work copy_work(void* to, const void* from, std::size_t bytes) {
  return [=] { std::memmove(to, from, bytes); };
}

/// Zeros of whole pages are pages not yet written to: large buffers that stay empty take no memory of the host's.
void fill(void* to, int value, std::size_t bytes) {
  char *const begin = static_cast<char*>(to), *const end = begin + bytes;
  const auto up = [](char* p) { return p + (kPage - reinterpret_cast<std::uintptr_t>(p) % kPage) % kPage; };
  char *const first = up(begin), *const last = up(end) - (up(end) == end ? 0 : kPage);
  if (value != 0 || first >= last || madvise(first, static_cast<std::size_t>(last - first), MADV_DONTNEED) != 0) {
    std::memset(to, value, bytes);
    return;
  }
  std::memset(begin, 0, static_cast<std::size_t>(first - begin));
  std::memset(last, 0, static_cast<std::size_t>(end - last));
}

bool kind_fits(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  return (to_device ? on_device(to, bytes) : place_of(to) != Place::device) &&
         (from_device ? on_device(from, bytes) : place_of(from) != Place::device);
}

}  // namespace
}  // namespace gpumonth::emulator

using namespace gpumonth::emulator;

extern "C" {

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  const std::lock_guard lock(the_lock());
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  const std::size_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  const std::size_t pages = (rounded + kPage - 1) / kPage * kPage;
  if (in_use() + pages > capacity()) return failed(cudaErrorMemoryAllocation);
  void* const mapped = mmap(nullptr, pages + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return failed(cudaErrorMemoryAllocation);
  char* const begin = static_cast<char*>(mapped) + kPage;
  mprotect(begin, pages, PROT_READ | PROT_WRITE);
  const std::size_t filled = std::min(pages, kFilled);
  std::memset(begin, 0xff, filled);  // NaN in fp32, bf16 and fp64
  std::memset(begin + pages - filled, 0xff, filled);
  if (open_count == 0) mprotect(begin, pages, PROT_NONE);
  *pointer = begin + pages - rounded;
  device_memory()[static_cast<const char*>(*pointer)] = {begin, pages, bytes};
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  const std::lock_guard lock(the_lock());
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  if (!pointer) return cudaSuccess;
  run_all();
  const auto found = device_memory().find(static_cast<const char*>(pointer));
  if (found == device_memory().end()) return failed(cudaErrorInvalidValue);
  munmap(found->second.pages - kPage, found->second.page_bytes + 2 * kPage);
  device_memory().erase(found);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  const std::lock_guard lock(the_lock());
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  *pointer = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  if (!*pointer) return failed(cudaErrorMemoryAllocation);
  pinned_memory()[static_cast<const char*>(*pointer)] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* pointer) {
  const std::lock_guard lock(the_lock());
  run_all();
  if (pointer && pinned_memory().erase(static_cast<const char*>(pointer)) == 0) return failed(cudaErrorInvalidValue);
  std::free(pointer);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  const std::lock_guard lock(the_lock());
  *total_bytes = capacity();
  *free_bytes = capacity() - in_use();
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const std::lock_guard lock(the_lock());
  if (bytes == 0) return cudaSuccess;
  if (!kind_fits(to, from, bytes, kind)) return failed(cudaErrorInvalidValue);
  stream = stream_or_default(stream);
  const bool pageable = place_of(kind == cudaMemcpyHostToDevice ? from : to) == Place::pageable;
  if (kind == cudaMemcpyHostToDevice && pageable) {  // the call returns when the host's memory has been read
    if (stream->capture) return failed(cudaErrorStreamCaptureUnsupported);
    auto held =
        std::make_shared<std::vector<char>>(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
    enqueue(stream, [=] { std::memcpy(to, held->data(), bytes); });
    return cudaSuccess;
  }
  if (kind == cudaMemcpyDeviceToHost && pageable) {  // the call returns when it is done
    if (stream->capture) return failed(cudaErrorStreamCaptureUnsupported);
    enqueue(stream, copy_work(to, from, bytes));
    run_until(stream->last);
    return cudaSuccess;
  }
  enqueue(stream, copy_work(to, from, bytes));
  return cudaSuccess;
}

/// On the default stream, for which our streams do not wait: they are all made with cudaStreamNonBlocking.
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const std::lock_guard lock(the_lock());
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  if (bytes > 0 && !kind_fits(to, from, bytes, kind)) return failed(cudaErrorInvalidValue);
  enqueue(nullptr, copy_work(to, from, bytes));
  run_until(stream_or_default(nullptr)->last);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && !on_device(to, bytes)) return failed(cudaErrorInvalidValue);
  enqueue(stream, [=] { fill(to, value, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemset(void* to, int value, std::size_t bytes) {
  const std::lock_guard lock(the_lock());
  if (const cudaError_t no = refuse_while_capturing()) return failed(no);
  return cudaMemsetAsync(to, value, bytes, nullptr);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  *attributes = {};
  const Place place = place_of(pointer);
  attributes->type = place == Place::device   ? cudaMemoryTypeDevice
                     : place == Place::pinned ? cudaMemoryTypeHost
                                              : cudaMemoryTypeUnregistered;
  attributes->devicePointer = place == Place::pageable ? nullptr : const_cast<void*>(pointer);
  return cudaSuccess;
}

}  // extern "C"
