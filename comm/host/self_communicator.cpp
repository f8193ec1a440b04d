#include "comm/host/self_communicator.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "comm/abort.h"
#include "comm/host/thread_reducer.h"

namespace gpumonth::comm {

void SelfCommunicator::abort(const std::string& message, int exit_code) { abort_job(message, exit_code); }

std::shared_ptr<float[]> SelfCommunicator::allocate(std::int64_t count) { return allocate_private(count); }

std::unique_ptr<GradientReducer> SelfCommunicator::make_reducer(float* gradients, std::vector<Segment> events,
                                                                std::int64_t bucket_bytes, void*,
                                                                const ReducerOptions& options) {
  return std::make_unique<ThreadReducer>(*this, gradients, std::move(events), bucket_bytes, options);
}

std::shared_ptr<float[]> allocate_private(std::int64_t count) {
  const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(std::max<std::int64_t>(count, 1));
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);
  return {static_cast<float*>(memory), [bytes](float* p) { munmap(p, bytes); }};
}

}  // namespace gpumonth::comm
