// An emulated NCCL communicator as enqueued work sees it: the collectives themselves. Only nccl*.cpp include it.
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/emulator/nccl_meeting.h"

namespace gpumonth::emulator {

enum Kind : std::int32_t { kAllReduce = 1, kReduceScatter, kAllGather, kBroadcast, kSend, kReceive };

struct Collective {
  Call call;  ///< of kSend and kReceive, root is the peer
  const void* send = nullptr;
  void* receive = nullptr;
  bool reduces() const { return call.kind == kAllReduce || call.kind == kReduceScatter; }
  bool is_message() const { return call.kind == kSend || call.kind == kReceive; }
};

std::size_t bytes_of(std::int32_t type);  ///< of ncclDataType_t; 0: no such type
bool is_summed(std::int32_t type);        ///< fp32, fp64, bf16
std::string describe(const Call& call);   ///< for messages
/// Of the values of all collectives that this process has taken part in, as their calls count them.
std::uint64_t bytes_of_collectives();

struct Channel {
  Channel(const std::string& id_, int rank_, int size_, const std::string& host, const std::string& gpu)
      : id(id_), rank(rank_), size(size_), meeting(id, rank_, size_, host, gpu) {}

  /// Throws NcclError for a call that is refused.
  void check(const Collective& c) const;
  /// What starts together, in the order of the calls: messages side by side, as far as their peers come, then
  /// collectives in reverse, as they have no order, one by one with all ranks. After an error it waits for
  /// ncclCommAbort, as NCCL's kernels do; then at once.
  void run(const std::vector<Collective>& calls);
  std::string error_text() const;

  const std::string id;
  const int rank, size;
  Meeting meeting;
  int splits = 0;  ///< so far: their communicators' ids differ
  std::atomic<bool> aborted{false};
  std::atomic<ncclResult_t> error{ncclSuccess};
  std::atomic<int> running{0};

  std::mutex launching;  ///< for what follows
  bool launched = false;
  cudaStream_t last_stream = nullptr;
  cudaEvent_t last_launch = nullptr;
  std::shared_ptr<int> graphs = std::make_shared<int>(0);  ///< also held by captured collectives

 private:
  struct Message;
  bool run(const Collective& c);
  bool exchange(const std::vector<Collective>& calls);
  bool advance(Message& message);
  bool agree(const Call& call);
  bool meet();
  void fail(ncclResult_t result, const std::string& text);
  std::uint64_t most_elements(const Collective& c) const;  ///< that fit into a slot
  void put(const Collective& c, std::uint64_t at, std::uint64_t count);
  void take(const Collective& c, std::uint64_t at, std::uint64_t count);

  mutable std::mutex text_mutex_;
  std::string error_text_;
};

}  // namespace gpumonth::emulator
