// Where the ranks of an emulated NCCL communicator meet: POSIX shared memory with a seat and a slot for each,
// waited on by looking.
#pragma once

#include <nccl.h>
#include <sys/types.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpumonth::emulator {

struct NcclError : std::runtime_error {
  NcclError(ncclResult_t r, const std::string& text) : std::runtime_error(text), result(r) {}
  ncclResult_t result;
};

/// Whether a network interface fits NCCL_SOCKET_IFNAME: prefixes, or names behind '='. With '^' it excludes,
/// which leaves something on any host.
bool has_interface();
/// "This string can be overridden by using the NCCL_HOSTID env var"; read once in a process, as NCCL does.
const std::string& host_id();

/// What all ranks of a collective must say alike.
struct Call {
  std::int32_t kind = 0, type = 0, op = 0, root = 0;
  std::uint64_t count = 0;
  bool captured = false;    ///< "must be uniform over all ranks participating in the launch"
  bool registered = false;  ///< "all other ranks in the same communicator must pass their registered buffers"
  bool operator==(const Call&) const = default;
};

enum class Presence : std::int32_t { absent, taken, here, aborted, destroyed };

/// A message on its way from one rank to another, chunk by chunk; all zero in the beginning.
struct Mail {
  std::atomic<std::uint64_t> posted, taken;  ///< chunks, since the beginning
  std::atomic<bool> refused;                 ///< the receiver expects another one
  Call call;                                 ///< the sender's, written before its first chunk is posted
};

constexpr int kMostRanks = 64;

struct alignas(64) Seat {
  std::atomic<Presence> presence;
  std::atomic<std::uint64_t> barriers;  ///< reached so far
  pid_t pid;
  std::uint64_t started;  ///< the process, in the kernel's ticks: a pid may be given twice
  char host[128], gpu[64];
  std::int32_t colour, key;  ///< of the ncclCommSplit under way
  Call call;
  Mail mail[kMostRanks];  ///< from this rank, by receiver
};

class Meeting {
 public:
  static constexpr std::size_t kSlotBytes = std::size_t{1} << 20;

  /// Waits until all `size` ranks are there. Throws NcclError, as where two of one host have the same GPU.
  Meeting(const std::string& name, int rank, int size, const std::string& host, const std::string& gpu);
  ~Meeting();
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  enum class Outcome { all_here, peer_lost, aborted };
  /// Until every rank has come, or one never will, or `aborted` is set.
  Outcome barrier(const std::atomic<bool>& aborted);
  /// Until `done`, which is asked again and again, or one of `peers` will never come, or `aborted` is set.
  Outcome wait_for(const std::function<bool()>& done, const std::vector<int>& peers, const std::atomic<bool>& aborted);
  /// Until no rank uses the communicator any more, or `aborted` is set.
  void wait_for_leave(const std::atomic<bool>& aborted);
  void leave(Presence how);

  std::byte* slot(int rank) const;
  /// The part of the sender's slot that chunks for one receiver go through.
  std::byte* mail_slot(int from, int to) const { return slot(from) + mail_bytes() * static_cast<std::size_t>(to); }
  std::size_t mail_bytes() const { return kSlotBytes / static_cast<std::size_t>(size_) / 64 * 64; }
  Seat& seat(int rank) const;
  std::string lost_peer() const;  ///< "rank 1 (process 4711) ended"; empty where all are there

 private:
  struct Board;
  bool is_gone(int rank) const;
  void take_seat(const std::string& host, const std::string& gpu);

  std::string name_;
  int rank_, size_;
  std::size_t bytes_ = 0;
  Board* board_ = nullptr;
};

}  // namespace gpumonth::emulator
