#include "comm/host/shared_group.h"

#include <fmt/format.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <mutex>

#include "comm/abort.h"
#include "comm/mpi_check.h"

namespace gpumonth::comm {
namespace {

constexpr int kMaxRanks = 256;                // per host
constexpr std::int64_t kSliceAlignment = 16;  // floats: two ranks never write the same cache line
constexpr std::int64_t kBlock = 2048;         // floats summed at a time: 8 KiB of L1

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected) {
  const timespec limit{0, 100'000'000};  // looks again after 100 ms, whatever happens
  syscall(SYS_futex, &word, FUTEX_WAIT, expected, &limit, nullptr, 0);
}

void futex_wake_all(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

void sum_two(float* __restrict a, float* __restrict b, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float sum = a[i] + b[i];
    a[i] = sum;
    b[i] = sum;
  }
}

}  // namespace

/// parts[r][0 .. count): sums in rank order, written to every target.
void SharedGroup::sum_many(std::span<float* const> parts, std::span<float* const> targets, std::int64_t count) {
  float sum[kBlock];
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t n = std::min(kBlock, count - begin);
    std::copy_n(parts[0] + begin, n, sum);
    for (std::size_t r = 1; r < parts.size(); ++r) {
      const float* part = parts[r] + begin;
      for (std::int64_t i = 0; i < n; ++i) sum[i] += part[i];
    }
    for (float* target : targets) std::copy_n(sum, n, target + begin);
  }
}

struct SharedGroup::Control {
  struct alignas(64) Rank {
    std::atomic<std::uint32_t> arrived{0};
    // of the collective it arrived at; two, because it may arrive at the next before others have looked
    Operation operation[2] = {};
    std::int64_t offset[2] = {0, 0}, count[2] = {0, 0};
  };
  alignas(64) std::atomic<std::uint32_t> event{0};  // the futex: changes when the last rank has arrived
  Rank ranks[kMaxRanks];
};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

struct SharedGroup::Regions {
  std::mutex mutex;
  std::vector<std::weak_ptr<SharedMapping>> mappings;
};

SharedGroup::Control& SharedGroup::control() const { return *reinterpret_cast<Control*>(control_->of_rank(0)); }

std::unique_ptr<SharedGroup> SharedGroup::create(MPI_Comm comm, const SharedGroup* regions_of) {
  std::unique_ptr<SharedGroup> group(new SharedGroup);
  GPUMONTH_MPI(MPI_Comm_rank, comm, &group->rank_);
  GPUMONTH_MPI(MPI_Comm_size, comm, &group->size_);
  MPI_Comm host = MPI_COMM_NULL;
  GPUMONTH_MPI(MPI_Comm_split_type, comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  int on_host = 0, least = 0;
  GPUMONTH_MPI(MPI_Comm_size, host, &on_host);
  GPUMONTH_MPI(MPI_Comm_free, &host);
  GPUMONTH_MPI(MPI_Allreduce, &on_host, &least, 1, MPI_INT, MPI_MIN, comm);
  if (least < group->size_ || group->size_ > kMaxRanks) return nullptr;

  group->comm_ = comm;
  group->control_ = SharedMapping::create(comm, sizeof(Control));  // zeroed memory is a valid Control
  if (!group->control_) return nullptr;
  group->staging_ = SharedMapping::create(comm, 2 * kStagingBytes);
  if (!group->staging_) return nullptr;
  group->regions_ = regions_of ? regions_of->regions_ : std::make_shared<Regions>();
  return group;
}

std::shared_ptr<float[]> SharedGroup::allocate(std::int64_t count) {
  std::shared_ptr<SharedMapping> region =
      SharedMapping::create(comm_, sizeof(float) * static_cast<std::size_t>(std::max<std::int64_t>(count, 1)));
  if (!region) return nullptr;
  const std::lock_guard lock(regions_->mutex);
  std::erase_if(regions_->mappings, [](const auto& mapping) { return mapping.expired(); });
  regions_->mappings.push_back(region);
  // A peer that is still reading when this rank drops it has mapped the memory itself.
  return {reinterpret_cast<float*>(region->of_rank(rank_)), [region](float*) {}};
}

std::shared_ptr<std::byte[]> SharedGroup::allocate_common(std::size_t bytes) {
  // rank 0's piece; nobody touches the others', so they cost address space only
  const std::shared_ptr<SharedMapping> region = SharedMapping::create(comm_, std::max<std::size_t>(bytes, 1));
  if (!region) return nullptr;
  return {region->of_rank(0), [region](std::byte*) {}};
}

void SharedGroup::barrier() {
  Control& c = control();
  const std::uint32_t turn = ++barriers_;
  const auto all_arrived = [&] {
    return std::all_of(c.ranks, c.ranks + size_, [turn](const Control::Rank& r) {
      return static_cast<std::int32_t>(r.arrived.load() - turn) >= 0;
    });
  };
  c.ranks[rank_].arrived.store(turn);
  if (all_arrived()) {  // the last one is sure to see it
    c.event.fetch_add(1);
    futex_wake_all(c.event);
    return;
  }
  for (;;) {
    const std::uint32_t event = c.event.load();
    if (all_arrived()) return;
    futex_wait(c.event, event);
  }
}

void SharedGroup::announce(Operation operation, std::int64_t offset, std::int64_t count) {
  constexpr const char* kNames[] = {"all-reduce", "reduce-scatter", "all-gather", "all-to-all"};
  constexpr const char* kVerbs[] = {"reduces", "reduces and scatters", "gathers", "exchanges"};
  Control& c = control();
  const std::uint32_t turn = (barriers_ + 1) % 2;
  c.ranks[rank_].operation[turn] = operation;
  c.ranks[rank_].offset[turn] = offset;
  c.ranks[rank_].count[turn] = count;
  barrier();
  for (int r = 0; r < size_; ++r) {
    const Control::Rank& theirs = c.ranks[r];
    if (theirs.operation[turn] == operation && theirs.offset[turn] == offset && theirs.count[turn] == count) continue;
    abort_job(fmt::format("{}{}: rank {} {} {} values at {}, this rank {} at {} - the ranks run "
                          "different programs or configs",
                          rank_prefix(), kNames[static_cast<int>(operation)], r,
                          kVerbs[static_cast<int>(theirs.operation[turn])], theirs.count[turn], theirs.offset[turn],
                          count, offset),
              1);
  }
}

void SharedGroup::direct_sum(const SharedMapping& region, std::int64_t offset, std::int64_t count) {
  announce(Operation::all_reduce, offset, count);
  // slice r of size_ nearly equal ones, cut on cache lines
  const auto cut = [&](int r) {
    const std::int64_t at = (offset + count * r / size_) / kSliceAlignment * kSliceAlignment;
    return r == 0 ? offset : r == size_ ? offset + count : std::max(at, offset);
  };
  const std::int64_t begin = cut(rank_), end = cut(rank_ + 1);
  std::vector<float*> parts(size_);
  for (int r = 0; r < size_; ++r) parts[r] = reinterpret_cast<float*>(region.of_rank(r)) + begin;
  if (size_ == 2) {
    sum_two(parts[0], parts[1], end - begin);
  } else {
    sum_many(parts, parts, end - begin);
  }
  barrier();
}

/// Sums elements `first` .. `last` of `values`, which every rank stages.
template <class T>
void SharedGroup::staged_sum(Operation operation, std::span<T> values, std::size_t first, std::size_t last) {
  // Half h is written again two chunks later; by then all ranks have arrived at the chunk between, so all
  // have read it: one barrier per chunk is enough.
  constexpr std::size_t kChunk = kStagingBytes / sizeof(T);
  for (std::size_t begin = 0; begin < values.size(); begin += kChunk) {
    const std::size_t n = std::min(kChunk, values.size() - begin);
    const std::size_t half = next_half();
    std::memcpy(staging_->of_rank(rank_) + half, values.data() + begin, n * sizeof(T));
    announce(operation, -1 - static_cast<std::int64_t>(sizeof(T)), static_cast<std::int64_t>(values.size()));
    const std::size_t from = std::max(first, begin), to = std::min(last, begin + n);
    if (from >= to) continue;
    T* mine = values.data() + from;
    const auto part = [&](int r) { return reinterpret_cast<const T*>(staging_->of_rank(r) + half) + (from - begin); };
    std::memcpy(mine, part(0), (to - from) * sizeof(T));
    for (int r = 1; r < size_; ++r) {
      const T* theirs = part(r);
      for (std::size_t i = 0; i < to - from; ++i) mine[i] += theirs[i];
    }
  }
}

SharedGroup::Place SharedGroup::find(std::span<const float> values) const {
  const auto* first = reinterpret_cast<const std::byte*>(values.data());
  const std::lock_guard lock(regions_->mutex);
  for (const auto& mapping : regions_->mappings) {
    std::shared_ptr<SharedMapping> candidate = mapping.lock();
    if (!candidate) continue;
    const std::byte* base = candidate->of_rank(rank_);
    if (first < base || first + values.size_bytes() > base + candidate->bytes()) continue;
    return {std::move(candidate), values.data() - reinterpret_cast<const float*>(base)};
  }
  return {};
}

void SharedGroup::sum(std::span<float> values) {
  const Place place = find(values);
  if (!place.region) return staged_sum(Operation::all_reduce, values, 0, values.size());
  direct_sum(*place.region, place.offset, static_cast<std::int64_t>(values.size()));
}

void SharedGroup::sum(std::span<double> values) { staged_sum(Operation::all_reduce, values, 0, values.size()); }

void SharedGroup::reduce_scatter(std::span<float> values) {
  const auto count = static_cast<std::int64_t>(values.size()), share = count / size_;
  const Place place = find(values);
  if (!place.region) {
    const auto first = static_cast<std::size_t>(rank_ * share), last = static_cast<std::size_t>((rank_ + 1) * share);
    return staged_sum(Operation::reduce_scatter, values, first, last);
  }
  announce(Operation::reduce_scatter, place.offset, count);
  std::vector<float*> parts(size_);
  for (int r = 0; r < size_; ++r) parts[r] = place.of_rank(r) + rank_ * share;
  sum_many(parts, std::span(&parts[rank_], 1), share);
  barrier();
}

}  // namespace gpumonth::comm
