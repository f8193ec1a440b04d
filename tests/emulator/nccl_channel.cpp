#include "tests/emulator/nccl_channel.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <thread>

#include "tests/emulator/memory.h"

namespace gpumonth::emulator {
namespace {

struct Bf16 {
  std::uint16_t bits;
  explicit operator float() const { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }
};

Bf16 to_bf16(float value) {  // to nearest, ties to even
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return {static_cast<std::uint16_t>(std::isnan(value) ? 0x7fffu : rounded)};
}

std::atomic<std::uint64_t> moved_bytes{0};

float add(float a, float b) { return a + b; }
double add(double a, double b) { return a + b; }
/// "__hadd(x, y)": NCCL's own kernels round each partial sum.
Bf16 add(Bf16 a, Bf16 b) { return to_bf16(static_cast<float>(a) + static_cast<float>(b)); }

/// Sums of all ranks' `count` elements that begin `offset` into their slots, beginning with rank `first`.
template <class T>
void sum(const Meeting& meeting, int size, int first, std::uint64_t offset, std::uint64_t count, void* to) {
  std::vector<T> sums(count);
  std::memcpy(sums.data(), meeting.slot(first) + offset * sizeof(T), count * sizeof(T));
  for (int i = 1; i < size; ++i) {
    const T* theirs = reinterpret_cast<const T*>(meeting.slot((first + i) % size)) + offset;
    for (std::uint64_t j = 0; j < count; ++j) sums[j] = add(sums[j], theirs[j]);
  }
  std::memcpy(to, sums.data(), count * sizeof(T));
}

}  // namespace

std::uint64_t bytes_of_collectives() { return moved_bytes; }

std::string describe(const Call& call) {
  static const char* const names[] = {"?", "AllReduce", "ReduceScatter", "AllGather", "Broadcast", "Send", "Recv"};
  return std::string(names[call.kind]) + " of " + std::to_string(call.count) + " elements of type " +
         std::to_string(call.type) + ", op " + std::to_string(call.op) + ", root " + std::to_string(call.root) +
         (call.captured ? ", captured" : "") + (call.registered ? ", registered" : "");
}

std::size_t bytes_of(std::int32_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclFloat16:
    case ncclBfloat16: return 2;
    case ncclInt32:
    case ncclUint32:
    case ncclFloat32: return 4;
    case ncclInt64:
    case ncclUint64:
    case ncclFloat64: return 8;
    default: return 0;
  }
}
bool is_summed(std::int32_t type) { return type == ncclFloat32 || type == ncclFloat64 || type == ncclBfloat16; }

std::string Channel::error_text() const {
  const std::lock_guard lock(text_mutex_);
  return error_text_;
}

void Channel::fail(ncclResult_t result, const std::string& text) {
  {
    const std::lock_guard lock(text_mutex_);
    error_text_ = text;
  }
  error = result;
}

void Channel::check(const Collective& c) const {
  const std::size_t bytes = bytes_of(c.call.type);
  const auto refuse = [](ncclResult_t result, const char* text) { throw NcclError(result, text); };
  if (bytes == 0 || (c.reduces() && !is_summed(c.call.type)))
    refuse(ncclInvalidArgument, "the data type is not emulated");
  if (c.reduces() && c.call.op != ncclSum) refuse(ncclInvalidArgument, "only sums are emulated");
  if (c.call.root < 0 || c.call.root >= size) refuse(ncclInvalidArgument, "no such root");
  if (c.call.count == 0) return;
  const std::uint64_t part = c.call.count * bytes, whole = part * static_cast<std::uint64_t>(size);
  const bool sends = c.call.kind != kReceive && (c.call.kind != kBroadcast || rank == c.call.root);
  const bool receives = c.call.kind != kSend;
  if ((sends && place_of(c.send) == Place::pageable) || (receives && place_of(c.receive) == Place::pageable))
    refuse(ncclInvalidArgument, "a buffer is null or not the GPU's");
  const auto* send = static_cast<const std::byte*>(c.send);
  const auto* receive = static_cast<const std::byte*>(c.receive);
  for (const std::byte* buffer : {send, receive})
    if (reinterpret_cast<std::uintptr_t>(buffer) % bytes != 0)
      refuse(ncclInvalidArgument, "a buffer is not aligned to its elements");
  if (c.is_message()) return;
  const std::uint64_t mine = part * static_cast<std::uint64_t>(rank);
  const bool in_place = c.call.kind == kReduceScatter ? receive == send + mine
                        : c.call.kind == kAllGather   ? send == receive + mine
                                                      : send == receive;
  const bool apart = send + (c.call.kind == kReduceScatter ? whole : part) <= receive ||
                     receive + (c.call.kind == kAllGather ? whole : part) <= send;
  if (sends && !in_place && !apart) refuse(ncclInvalidUsage, "buffers overlap, but not as an in-place collective's do");
}

bool Channel::meet() {
  const Meeting::Outcome outcome = meeting.barrier(aborted);
  if (outcome == Meeting::Outcome::peer_lost) fail(ncclRemoteError, meeting.lost_peer());
  return outcome == Meeting::Outcome::all_here;
}

/// Behind a barrier that every rank's call was written before.
bool Channel::agree(const Call& call) {
  for (int other = 0; other < size; ++other) {
    const Call& theirs = meeting.seat(other).call;
    if (theirs == call) continue;
    fail(ncclInvalidUsage, "ranks call different collectives: rank " + std::to_string(rank) + " " + describe(call) +
                               ", rank " + std::to_string(other) + " " + describe(theirs));
    return false;
  }
  return true;
}

std::uint64_t Channel::most_elements(const Collective& c) const {
  const std::size_t blocks = c.call.kind == kReduceScatter ? static_cast<std::size_t>(size) : 1;
  return Meeting::kSlotBytes / (bytes_of(c.call.type) * blocks);
}

void Channel::put(const Collective& c, std::uint64_t at, std::uint64_t count) {
  const std::size_t bytes = bytes_of(c.call.type);
  const auto* from = static_cast<const std::byte*>(c.send);
  std::byte* to = meeting.slot(rank);
  if (c.call.kind == kBroadcast && rank != c.call.root) return;
  const int blocks = c.call.kind == kReduceScatter ? size : 1;  // one for each receiver, `call.count` apart
  for (std::uint64_t block = 0; block < static_cast<std::uint64_t>(blocks); ++block)
    std::memcpy(to + block * count * bytes, from + (block * c.call.count + at) * bytes, count * bytes);
}

void Channel::take(const Collective& c, std::uint64_t at, std::uint64_t count) {
  const std::size_t bytes = bytes_of(c.call.type);
  auto* const to = static_cast<std::byte*>(c.receive) + at * bytes;
  if (c.call.kind == kBroadcast) {
    std::memcpy(to, meeting.slot(c.call.root), count * bytes);
    return;
  }
  if (c.call.kind == kAllGather) {
    for (int other = 0; other < size; ++other)
      std::memcpy(to + static_cast<std::uint64_t>(other) * c.call.count * bytes, meeting.slot(other), count * bytes);
    return;
  }
  const bool scattered = c.call.kind == kReduceScatter;
  const std::uint64_t offset = scattered ? static_cast<std::uint64_t>(rank) * count : 0;
  const std::uint64_t chunk = at / most_elements(c);
  // as round a ring, where each part of a buffer begins at another rank
  const int first =
      static_cast<int>((chunk + static_cast<std::uint64_t>(scattered ? rank : 0)) % static_cast<std::uint64_t>(size));
  if (c.call.type == ncclFloat32)
    sum<float>(meeting, size, first, offset, count, to);
  else if (c.call.type == ncclFloat64)
    sum<double>(meeting, size, first, offset, count, to);
  else
    sum<Bf16>(meeting, size, first, offset, count, to);
}

bool Channel::run(const Collective& c) {
  moved_bytes += c.call.count * bytes_of(c.call.type);
  meeting.seat(rank).call = c.call;
  std::uint64_t at = 0;
  do {
    const std::uint64_t count = std::min(most_elements(c), c.call.count - at);
    if (count > 0) put(c, at, count);
    if (!meet() || !agree(c.call)) return false;
    if (count > 0) take(c, at, count);
    if (!meet()) return false;  // before slots and call are written again
    at += count;
  } while (at < c.call.count);
  return true;
}

void Channel::run(const std::vector<Collective>& calls) {
  ++running;
  bool goes_on = !aborted && error == ncclSuccess && exchange(calls);
  for (auto c = calls.rbegin(); c != calls.rend() && goes_on; ++c)
    if (!c->is_message()) goes_on = !aborted && error == ncclSuccess && run(*c);
  while (error != ncclSuccess && !aborted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  --running;
}

}  // namespace gpumonth::emulator
