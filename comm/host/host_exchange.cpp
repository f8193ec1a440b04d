#include "comm/host/host_exchange.h"

#include "base/error.h"
#include "comm/host/host_transport.h"
#include "comm/launch.h"

namespace gpumonth::comm {

HostExchange::HostExchange(Communicator& ranks, int group_ranks)
    : group_(ranks.split(ranks.rank() / group_ranks, "attention")) {
  const MpiVersion mpi = mpi_version();
  if (group_->size() > 1 && mpi.thread_level != "multiple")
    user_error(
        "run.sequence_parallel = {}: {} allows calls of one thread at a time ({}), and gradients are summed beside "
        "attention's all-to-alls: use an MPI with MPI_THREAD_MULTIPLE, such as Open MPI 4.1",
        group_ranks, mpi.library, mpi.thread_level);
}

std::shared_ptr<std::byte[]> HostExchange::allocate(std::int64_t bytes) {
  const std::int64_t floats = (bytes + 3) / 4;
  std::shared_ptr<float[]> memory = group_->allocate_shared(floats);
  if (!memory) memory = allocate_private(floats);
  return {memory, reinterpret_cast<std::byte*>(memory.get())};
}

void HostExchange::run(const void* sent, void* received, std::int64_t bytes) {
  const auto floats = static_cast<std::size_t>(share_bytes(bytes) * size() / 4);  // of any bits: moved, never added
  group_->all_to_all({static_cast<const float*>(sent), floats}, {static_cast<float*>(received), floats});
}

}  // namespace gpumonth::comm
