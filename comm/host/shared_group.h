// Collectives between ranks of one host through shared memory, without spinning and without MPI.
//
// Memory comes from memfd_create and is mapped by the other ranks through /proc/<pid>/fd: no /dev/shm (64 MB
// in a container), no cross-memory attach (forbidden there). Waiting is a futex, so a rank that is early
// costs nothing: on a machine where the communication thread has no core of its own this is what counts.
//
// With P ranks, an all-reduce lets rank r sum slice r of the range over all ranks in rank order and write it to all of
// them: every value is read P times and written P times in the whole host, the least possible, and its bits are the
// same on every rank because one rank computed them. In the others a rank fetches what it gets, and writes to nobody
// else's memory.
#pragma once

#include <mpi.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gpumonth::comm {

/// One piece of memory per rank, each mapped by all ranks of the host.
class SharedMapping {
 public:
  /// Collective. Null where the kernel refuses, or another rank is not reachable through /proc.
  static std::unique_ptr<SharedMapping> create(MPI_Comm comm, std::size_t bytes);
  ~SharedMapping();
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  std::byte* of_rank(int rank) const;
  std::size_t bytes() const { return bytes_; }

 private:
  SharedMapping() = default;
  std::vector<std::byte*> maps_;  // with a header page in front
  std::size_t bytes_ = 0;
};

class SharedGroup {
 public:
  /// Collective. Null where ranks are on several hosts or memory cannot be shared. `regions_of`: a group of
  /// the same ranks whose allocated memory is known here too.
  static std::unique_ptr<SharedGroup> create(MPI_Comm comm, const SharedGroup* regions_of = nullptr);

  /// Collective. Zeroed memory in which collectives work without a copy; null where it cannot be shared.
  std::shared_ptr<float[]> allocate(std::int64_t count);

  /// Collective. One zeroed piece that every rank maps; null where memory cannot be shared.
  std::shared_ptr<std::byte[]> allocate_common(std::size_t bytes);

  /// Sums over ranks, in place. Ranges inside allocate()d memory are summed where they lie, others are staged.
  void sum(std::span<float> values);
  void sum(std::span<double> values);
  /// As Communicator's, of equal shares.
  void reduce_scatter(std::span<float> values);
  void all_gather(std::span<float> values);
  void all_to_all(std::span<const float> sent, std::span<float> received);
  void barrier();

 private:
  struct Control;
  struct Regions;
  enum class Operation : std::int64_t { all_reduce, reduce_scatter, all_gather, all_to_all };
  /// A range of allocated memory, as every rank has one at the same place.
  struct Place {
    std::shared_ptr<SharedMapping> region;  ///< null: memory of another kind
    std::int64_t offset = 0;                ///< elements
    float* of_rank(int rank) const { return reinterpret_cast<float*>(region->of_rank(rank)) + offset; }
  };

  SharedGroup() = default;
  Place find(std::span<const float> values) const;
  template <class T>
  void staged_sum(Operation operation, std::span<T> values, std::size_t first, std::size_t last);
  void direct_sum(const SharedMapping& region, std::int64_t offset, std::int64_t count);
  static void sum_many(std::span<float* const> parts, std::span<float* const> targets, std::int64_t count);
  /// Says that this rank is at the collective, waits for the others, and ends the job where one is at another.
  void announce(Operation operation, std::int64_t offset, std::int64_t count);
  std::size_t next_half() { return (staged_chunks_++ % 2) * kStagingBytes; }
  Control& control() const;

  static constexpr std::size_t kStagingBytes = 512u << 10;  // per half: small enough to stay in the caches
  int rank_ = 0, size_ = 1;
  MPI_Comm comm_ = MPI_COMM_NULL;
  std::unique_ptr<SharedMapping> control_;  // rank 0's piece holds Control
  std::unique_ptr<SharedMapping> staging_;  // two halves per rank
  std::shared_ptr<Regions> regions_;
  std::uint32_t barriers_ = 0;
  std::uint32_t staged_chunks_ = 0;
};

}  // namespace gpumonth::comm
