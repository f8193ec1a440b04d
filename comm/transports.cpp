// The table of transports, and how each begins.
#include <mpi.h>

#include <array>
#include <cstdlib>

#include "base/error.h"
#include "comm/host/host_transport.h"
#include "comm/host/mpi_communicator.h"
#include "comm/launch.h"
#include "comm/mpi_check.h"
#include "comm/mpi_state.h"
#include "comm/nccl/nccl_transport.h"

namespace gpumonth::comm {
namespace {

bool has_pmi() {
  return std::getenv("PMIX_RANK") || std::getenv("PMIX_NAMESPACE") || std::getenv("PMI_FD") || std::getenv("PMI_RANK");
}

void initialize_mpi() {
  if (mpi_is_running()) return;
  // Cross-memory attach is forbidden in many containers and then fails in the middle of a message; gpumonth
  // moves what is big through memory of its own. Whoever sets these variables keeps them.
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  // Over TCP, Open MPI asks for the rest of a large message by one of its own that waits behind what is on its way to the
  // other side: two hosts that send to each other at once then take turns, at little more than half of the link's rate
  // (tests/bench/tcp_messages.sh). Without `put` (0x2): send, inplace, need-ack, need-csum, hetero-rdma.
  setenv("OMPI_MCA_btl_tcp_flags", "313", 0);
  int level = MPI_THREAD_SINGLE;
  GPUMONTH_MPI(MPI_Init_thread, nullptr, nullptr, MPI_THREAD_MULTIPLE, &level);
  if (level < MPI_THREAD_SERIALIZED) {
    user_error(
        "{} was built without threads, which gradient communication needs: use one with "
        "MPI_THREAD_MULTIPLE, such as Open MPI 4.1",
        mpi_version().library);
  }
}

void check_world(const Launch& launch) {
  int one = 1, sum = 0;
  GPUMONTH_MPI(MPI_Allreduce, &one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (launch.launcher.empty() || sum == launch.size) return;
  user_error(
      "{} started {} processes, but MPI joins {} of them: this program is built for {}; start it with that "
      "MPI's mpirun, or with srun --mpi=pmix",
      launch.launcher, launch.size, sum, mpi_version().library);
}

void join_mpi(const Launch& launch) {
  if (launch.launcher == "srun" && launch.size > 1 && !has_pmi()) {
    user_error("srun started {} tasks without PMI, so MPI cannot join them: use srun --mpi=pmix, or mpirun",
               launch.size);
  }
  initialize_mpi();
  check_world(launch);
}

std::unique_ptr<Transport> make_self(const Launch& launch, const CommOptions&) {
  if (launch.size > 1) {
    user_error("comm.transport = \"self\", but {} started {} processes: start one, or use \"auto\"", launch.launcher,
               launch.size);
  }
  return std::make_unique<SelfTransport>();
}

std::unique_ptr<Transport> make_mpi(const Launch& launch, const CommOptions& options) {
  join_mpi(launch);
  return std::make_unique<MpiTransport>(options.watchdog_s);
}

std::unique_ptr<Transport> make_nccl(const Launch& launch, const CommOptions& options) {
  if (launch.size == 1 || !nccl_is_built()) require_nccl();
  const NcclOptions nccl{.allow_shared_gpu = options.allow_shared_gpu, .watchdog_s = options.watchdog_s};
  if (launch.size == 1) return make_nccl_transport(std::make_unique<SelfCommunicator>(), nullptr, nccl);
  join_mpi(launch);
  auto ranks = std::make_unique<MpiCommunicator>(options.watchdog_s);
  auto watchdog = ranks->watchdog();
  return make_nccl_transport(std::move(ranks), std::move(watchdog), nccl);
}

}  // namespace

std::span<const TransportKind> transports() {
  static const std::array<TransportKind, 3> kinds{{
      {"self", true, "one process alone", make_self},
      {"mpi", true, "host memory: shared by the ranks of one host, MPI messages between hosts", make_mpi},
      {"nccl", nccl_is_built(), "GPU memory, a GPU a rank", make_nccl},
  }};
  return kinds;
}

std::vector<std::string> transport_names() {
  std::vector<std::string> names = {"auto"};
  for (const TransportKind& kind : transports()) names.emplace_back(kind.name);
  return names;
}

}  // namespace gpumonth::comm
