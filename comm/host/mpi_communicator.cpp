#include "comm/host/mpi_communicator.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "comm/abort.h"
#include "comm/host/polite_wait.h"
#include "comm/mpi_check.h"

namespace gpumonth::comm {
namespace {

constexpr int kRingTag = 7, kAllToAllTag = 8;
// Below this the ring's 2 (P-1) messages cost more than MPI's tree.
constexpr std::size_t kSmallest = 8192;  // floats: 32 KiB

std::string host_name() {
  char name[256] = "?";
  gethostname(name, sizeof name - 1);
  return name;
}

bool threads_may_all_call() {
  int level = MPI_THREAD_SINGLE;
  GPUMONTH_MPI(MPI_Query_thread, &level);
  return level == MPI_THREAD_MULTIPLE;
}

std::size_t share_of_each(std::size_t count, int ranks) {
  if (count % static_cast<std::size_t>(ranks) != 0)
    throw std::invalid_argument(fmt::format("{} values are no equal shares of {} ranks", count, ranks));
  return count / static_cast<std::size_t>(ranks);
}

}  // namespace

// Every collective is a nonblocking one whose end is awaited by sleeping looks: blocking ones spin.
void MpiCommunicator::wait(MPI_Request request) {
  PoliteWait patience;
  for (;;) {
    int done = 0;
    GPUMONTH_MPI(MPI_Test, &request, &done, MPI_STATUS_IGNORE);
    if (done) return;
    patience.pause();
  }
}

void MpiCommunicator::adopt(MPI_Comm comm) {
  GPUMONTH_MPI(MPI_Comm_dup, comm, &comm_);
  GPUMONTH_MPI(MPI_Comm_set_errhandler, comm_, MPI_ERRORS_RETURN);
  GPUMONTH_MPI(MPI_Comm_rank, comm_, &rank_);
  GPUMONTH_MPI(MPI_Comm_size, comm_, &size_);
  ring_ = std::make_unique<RingAllReduce>(comm_, kRingTag);
}

void MpiCommunicator::look_at_host() {
  MPI_Comm host = MPI_COMM_NULL;
  GPUMONTH_MPI(MPI_Comm_split_type, comm_, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
  GPUMONTH_MPI(MPI_Comm_rank, host, &local_rank_);
  GPUMONTH_MPI(MPI_Comm_size, host, &local_size_);
  GPUMONTH_MPI(MPI_Comm_free, &host);
}

MpiCommunicator::MpiCommunicator(double watchdog_s, bool use_shared_memory) {
  GPUMONTH_MPI(MPI_Comm_set_errhandler, MPI_COMM_WORLD,
               MPI_ERRORS_RETURN);  // inherited by what is split from it
  adopt(MPI_COMM_WORLD);
  look_at_host();
  // the first collectives run before anybody watches: a rank that never starts is the launcher's business
  watchdog_ = std::make_shared<Watchdog>(comm_, 0, std::vector<std::string>{}, false);
  channel_ = watchdog_->add_channel("main");
  std::vector<std::string> hosts = all_gather(host_name());
  watchdog_ = std::make_shared<Watchdog>(comm_, watchdog_s, std::move(hosts), threads_may_all_call());
  channel_ = watchdog_->add_channel("main");
  shares_memory_ = use_shared_memory;
  if (shares_memory_) shared_ = SharedGroup::create(comm_);
}

MpiCommunicator::MpiCommunicator(MpiCommunicator& original, const char* name)
    : local_rank_(original.local_rank_), local_size_(original.local_size_), watchdog_(original.watchdog_) {
  adopt(original.comm_);
  channel_ = watchdog_->add_channel(name, {}, original.watched_ranks());
  shares_memory_ = original.shares_memory_;
  if (original.shared_) shared_ = SharedGroup::create(comm_, original.shared_.get());
}

MpiCommunicator::MpiCommunicator(MpiCommunicator& original, MPI_Comm part, const char* name)
    : watchdog_(original.watchdog_) {
  adopt(part);
  look_at_host();
  channel_ = watchdog_->add_channel(name, {}, watched_ranks());
  // memory of the original is not known here: its ranks have other numbers
  if (original.shares_memory_) shared_ = SharedGroup::create(comm_);
  shares_memory_ = original.shares_memory_;
}

/// The ranks of this communicator as the watchdog numbers them. Collective.
std::vector<int> MpiCommunicator::watched_ranks() const {
  const int mine = watchdog_->rank();
  std::vector<int> all(static_cast<std::size_t>(size_));
  GPUMONTH_MPI(MPI_Allgather, &mine, 1, MPI_INT, all.data(), 1, MPI_INT, comm_);
  return all;
}

// Communicators are not freed: freeing is collective, and this rank may be on its way out of an error.
// MPI_Finalize frees them.
MpiCommunicator::~MpiCommunicator() = default;

std::unique_ptr<Communicator> MpiCommunicator::duplicate(const char* name) {
  const Watchdog::Guard guard(*watchdog_, channel_, "MPI_Comm_dup");
  return std::unique_ptr<Communicator>(new MpiCommunicator(*this, name));
}

std::unique_ptr<Communicator> MpiCommunicator::split(int colour, const char* name) {
  const Watchdog::Guard guard(*watchdog_, channel_, "MPI_Comm_split");
  MPI_Comm part = MPI_COMM_NULL;
  GPUMONTH_MPI(MPI_Comm_split, comm_, colour, rank_, &part);
  return std::unique_ptr<Communicator>(new MpiCommunicator(*this, part, name));
}

std::string MpiCommunicator::description() const {
  if (shared_) return fmt::format("shared memory, {} ranks on one host", size_);
  return fmt::format("MPI messages round a ring, {} ranks, {} on this host", size_, local_size_);
}

void MpiCommunicator::all_reduce_sum(std::span<float> values) {
  const Watchdog::Guard guard(*watchdog_, channel_, "all-reduce", static_cast<std::int64_t>(values.size_bytes()));
  if (values.empty() || size_ == 1) return;
  if (shared_) return shared_->sum(values);
  if (values.size() >= kSmallest) return ring_->sum(values);
  MPI_Request request;
  GPUMONTH_MPI(MPI_Iallreduce, MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_FLOAT, MPI_SUM, comm_,
               &request);
  wait(request);
}

void MpiCommunicator::all_reduce_in_place_of(std::span<float> values, const StandIn& stand_in) {
  const bool round_the_ring = static_cast<double>(values.size()) >= stand_in.byte_scale * double{kSmallest};
  if (shared_ || !round_the_ring) return all_reduce_sum(values);  // where adding is the sending, or is nothing
  const Watchdog::Guard guard(*watchdog_, channel_, "all-reduce", static_cast<std::int64_t>(values.size_bytes()));
  stand_in.adds ? ring_->sum(values) : ring_->send_only(values);
}

void MpiCommunicator::all_reduce_sum(std::span<double> values) {
  const Watchdog::Guard guard(*watchdog_, channel_, "all-reduce", static_cast<std::int64_t>(values.size_bytes()));
  if (values.empty() || size_ == 1) return;
  if (shared_) return shared_->sum(values);
  for (std::size_t begin = 0; begin < values.size(); begin += 1u << 20) {
    const std::span<double> part = values.subspan(begin, std::min<std::size_t>(1u << 20, values.size() - begin));
    MPI_Request request;
    GPUMONTH_MPI(MPI_Iallreduce, MPI_IN_PLACE, part.data(), static_cast<int>(part.size()), MPI_DOUBLE, MPI_SUM, comm_,
                 &request);
    wait(request);
  }
}

void MpiCommunicator::reduce_scatter_sum(std::span<float> values) {
  const Watchdog::Guard guard(*watchdog_, channel_, "reduce-scatter", static_cast<std::int64_t>(values.size_bytes()));
  const std::size_t share = share_of_each(values.size(), size_);
  if (share == 0 || size_ == 1) return;
  if (shared_) return shared_->reduce_scatter(values);
  if (values.size() >= kSmallest) return ring_->reduce_scatter(values);
  std::vector<float> sums(share);
  MPI_Request request;
  GPUMONTH_MPI(MPI_Ireduce_scatter_block, values.data(), sums.data(), static_cast<int>(share), MPI_FLOAT, MPI_SUM,
               comm_, &request);
  wait(request);
  std::copy(sums.begin(), sums.end(), values.data() + static_cast<std::size_t>(rank_) * share);
}

void MpiCommunicator::all_gather(std::span<float> values) {
  const Watchdog::Guard guard(*watchdog_, channel_, "all-gather", static_cast<std::int64_t>(values.size_bytes()));
  const std::size_t share = share_of_each(values.size(), size_);
  if (share == 0 || size_ == 1) return;
  if (shared_) return shared_->all_gather(values);
  if (values.size() >= kSmallest) return ring_->all_gather(values);
  MPI_Request request;
  GPUMONTH_MPI(MPI_Iallgather, MPI_IN_PLACE, 0, MPI_FLOAT, values.data(), static_cast<int>(share), MPI_FLOAT, comm_,
               &request);
  wait(request);
}

void MpiCommunicator::all_to_all(std::span<const float> sent, std::span<float> received) {
  const Watchdog::Guard guard(*watchdog_, channel_, "all-to-all", static_cast<std::int64_t>(sent.size_bytes()));
  const std::size_t share = share_of_each(sent.size(), size_);
  if (sent.size() != received.size()) throw std::invalid_argument("an all-to-all that sends more than it receives");
  if (share == 0) return;
  if (shared_) return shared_->all_to_all(sent, received);
  // In turn with the ranks 0, 1, 2 ... places on: each sends to one rank and receives from one at a time.
  constexpr std::size_t kMost = 16u << 20;  // floats: MPI counts in int
  for (int distance = 0; distance < size_; ++distance) {
    const int to = (rank_ + distance) % size_, from = (rank_ - distance + size_) % size_;
    for (std::size_t begin = 0; begin < share; begin += kMost) {
      const int count = static_cast<int>(std::min(kMost, share - begin));
      MPI_Request incoming, outgoing;
      GPUMONTH_MPI(MPI_Irecv, received.data() + static_cast<std::size_t>(from) * share + begin, count, MPI_FLOAT, from,
                   kAllToAllTag, comm_, &incoming);
      GPUMONTH_MPI(MPI_Isend, sent.data() + static_cast<std::size_t>(to) * share + begin, count, MPI_FLOAT, to,
                   kAllToAllTag, comm_, &outgoing);
      wait(incoming);
      wait(outgoing);
    }
  }
}

void MpiCommunicator::broadcast(std::span<std::byte> bytes, int root) {
  const Watchdog::Guard guard(*watchdog_, channel_, "broadcast", static_cast<std::int64_t>(bytes.size()));
  constexpr std::size_t kMost = 64u << 20;  // MPI counts in int
  for (std::size_t begin = 0; begin < bytes.size(); begin += kMost) {
    const std::span<std::byte> part = bytes.subspan(begin, std::min(kMost, bytes.size() - begin));
    MPI_Request request;
    GPUMONTH_MPI(MPI_Ibcast, part.data(), static_cast<int>(part.size()), MPI_BYTE, root, comm_, &request);
    wait(request);
  }
}

void MpiCommunicator::barrier() {
  const Watchdog::Guard guard(*watchdog_, channel_, "barrier");
  if (shared_) return shared_->barrier();
  MPI_Request request;
  GPUMONTH_MPI(MPI_Ibarrier, comm_, &request);
  wait(request);
}

std::vector<float> MpiCommunicator::gather(std::span<const float> values, int root) {
  const Watchdog::Guard guard(*watchdog_, channel_, "gather", static_cast<std::int64_t>(values.size_bytes()));
  std::vector<float> all(rank_ == root ? values.size() * size_ : 0);
  const int count = static_cast<int>(values.size());
  MPI_Request request;
  GPUMONTH_MPI(MPI_Igather, values.data(), count, MPI_FLOAT, all.data(), count, MPI_FLOAT, root, comm_, &request);
  wait(request);
  return all;
}

std::vector<std::string> MpiCommunicator::all_gather(const std::string& text) {
  const Watchdog::Guard guard(*watchdog_, channel_, "all-gather", static_cast<std::int64_t>(text.size()));
  const int length = static_cast<int>(text.size());
  std::vector<int> lengths(size_), begins(size_);
  MPI_Request request;
  GPUMONTH_MPI(MPI_Iallgather, &length, 1, MPI_INT, lengths.data(), 1, MPI_INT, comm_, &request);
  wait(request);
  int total = 0;
  for (int r = 0; r < size_; ++r) {
    begins[r] = total;
    total += lengths[r];
  }
  std::string joined(total, '\0');
  GPUMONTH_MPI(MPI_Iallgatherv, text.data(), length, MPI_CHAR, joined.data(), lengths.data(), begins.data(), MPI_CHAR,
               comm_, &request);
  wait(request);
  std::vector<std::string> texts;
  for (int r = 0; r < size_; ++r) texts.push_back(joined.substr(begins[r], lengths[r]));
  return texts;
}

void MpiCommunicator::abort(const std::string& message, int exit_code) {
  abort_job(rank_prefix() + message, exit_code);
}

std::shared_ptr<float[]> MpiCommunicator::allocate_shared(std::int64_t count) {
  const Watchdog::Guard guard(*watchdog_, channel_, "allocation of shared memory");
  return shared_ ? shared_->allocate(count) : nullptr;
}

std::shared_ptr<std::byte[]> MpiCommunicator::allocate_common(std::size_t bytes) {
  const Watchdog::Guard guard(*watchdog_, channel_, "allocation of shared memory");
  return shared_ && size_ > 1 ? shared_->allocate_common(bytes) : nullptr;
}

}  // namespace gpumonth::comm
