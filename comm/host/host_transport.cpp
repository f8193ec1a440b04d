#include "comm/host/host_transport.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "base/error.h"
#include "comm/host/host_exchange.h"
#include "comm/host/mpi_communicator.h"
#include "comm/host/thread_reducer.h"
#include "comm/host/thread_shard_reducer.h"
#include "comm/timed_collective.h"

namespace gpumonth::comm {

std::shared_ptr<float[]> allocate_private(std::int64_t count) {
  const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(std::max<std::int64_t>(count, 1));
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);
  return {static_cast<float*>(memory), [bytes](float* p) { munmap(p, bytes); }};
}

std::shared_ptr<float[]> HostTransport::allocate(std::int64_t count) { return allocate_private(count); }

std::unique_ptr<GradientReducer> HostTransport::make_reducer(float* gradients, std::vector<Segment> segments,
                                                             std::int64_t bucket_bytes, void*,
                                                             const ReducerOptions& options) {
  if (options.bf16_wire)
    user_error("comm.wire = \"bf16\" needs comm.transport = \"nccl\", not \"{}\": use comm.wire = \"fp32\"", name());
  if (options.full) return std::make_unique<ThreadShardReducer>(*this, options);
  return std::make_unique<ThreadReducer>(*this, gradients, std::move(segments), bucket_bytes, options);
}

std::unique_ptr<Exchange> HostTransport::make_exchange(int group_ranks, void*) {
  return std::make_unique<HostExchange>(ranks(), group_ranks);
}

std::unique_ptr<TimedCollective> HostTransport::make_timed(const Collective& operation, std::int64_t count) {
  return make_host_timed(*this, operation, count);
}

MpiTransport::MpiTransport(double watchdog_s, bool use_shared_memory)
    : HostTransport("mpi", std::make_unique<MpiCommunicator>(watchdog_s, use_shared_memory)),
      mpi_(static_cast<MpiCommunicator&>(ranks())) {
  set_watchdog(mpi_.watchdog());
}

std::shared_ptr<float[]> MpiTransport::allocate(std::int64_t count) {
  std::shared_ptr<float[]> memory = mpi_.allocate_shared(count);
  return memory ? memory : allocate_private(count);
}

std::shared_ptr<std::byte[]> MpiTransport::allocate_common(std::size_t bytes) { return mpi_.allocate_common(bytes); }

}  // namespace gpumonth::comm
