#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "comm/host/shared_group.h"
#include "comm/mpi_check.h"

namespace gpumonth::comm {
namespace {

constexpr std::size_t kHeaderBytes = 4096;  // holds the owner's token, keeps the data on a page boundary

/// How another rank opens a rank's memory: with pid namespaces of their own, the pid may mean another
/// process, so what was opened must show the token.
struct Handle {
  std::int64_t pid = 0, fd = -1;
  std::uint64_t token = 0;
};

std::byte* map_file(int fd, std::size_t bytes) {
  void* memory = mmap(nullptr, bytes + kHeaderBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

std::byte* map_peer(const Handle& peer, std::size_t bytes) {
  const int fd = open(fmt::format("/proc/{}/fd/{}", peer.pid, peer.fd).c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  // a foreign file may be shorter: reading past its end through the mapping would be SIGBUS
  std::uint64_t token = 0;
  const bool mine = lseek(fd, 0, SEEK_END) == static_cast<off_t>(bytes + kHeaderBytes) &&
                    pread(fd, &token, sizeof token, 0) == sizeof token && token == peer.token;
  std::byte* memory = mine ? map_file(fd, bytes) : nullptr;
  close(fd);
  return memory;
}

bool all_agree(MPI_Comm comm, bool ok) {
  int mine = ok ? 1 : 0, all = 0;
  GPUMONTH_MPI(MPI_Allreduce, &mine, &all, 1, MPI_INT, MPI_MIN, comm);
  return all == 1;
}

}  // namespace

std::unique_ptr<SharedMapping> SharedMapping::create(MPI_Comm comm, std::size_t bytes) {
  int rank = 0, size = 1;
  GPUMONTH_MPI(MPI_Comm_rank, comm, &rank);
  GPUMONTH_MPI(MPI_Comm_size, comm, &size);
  std::unique_ptr<SharedMapping> mapping(new SharedMapping);
  mapping->bytes_ = bytes;
  mapping->maps_.assign(size, nullptr);

  Handle own;
  own.pid = getpid();
  own.token = (std::uint64_t{std::random_device{}()} << 32) ^ std::random_device{}();
  const int fd = memfd_create("gpumonth", MFD_CLOEXEC);
  if (fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes + kHeaderBytes)) == 0 &&
      pwrite(fd, &own.token, sizeof own.token, 0) == sizeof own.token) {
    own.fd = fd;
    mapping->maps_[rank] = map_file(fd, bytes);
  }
  std::vector<Handle> handles(size);
  GPUMONTH_MPI(MPI_Allgather, &own, sizeof own, MPI_BYTE, handles.data(), sizeof own, MPI_BYTE, comm);
  bool ok = mapping->maps_[rank] != nullptr;
  for (int r = 0; r < size && ok; ++r) {
    if (r == rank) continue;
    mapping->maps_[r] = map_peer(handles[r], bytes);
    ok = mapping->maps_[r] != nullptr;
  }
  ok = all_agree(comm, ok);  // also: everybody has opened it, so the descriptor can go
  if (fd >= 0) close(fd);
  if (!ok) return nullptr;
  return mapping;
}

SharedMapping::~SharedMapping() {
  for (std::byte* memory : maps_) {
    if (memory) munmap(memory, bytes_ + kHeaderBytes);
  }
}

std::byte* SharedMapping::of_rank(int rank) const { return maps_[rank] + kHeaderBytes; }

}  // namespace gpumonth::comm
