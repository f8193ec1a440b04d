#include "comm/host/ring_all_reduce.h"

#include <algorithm>
#include <cstdint>

#include "comm/host/mpi_check.h"
#include "comm/host/polite_wait.h"

namespace gpumonth::comm {
namespace {

constexpr std::int64_t kPiece = 64 << 10;  // floats: 256 KiB, in the L2 cache while it is added
constexpr int kWindow = 8;                 // receives posted ahead: 2 MiB under way

}  // namespace

// One all-reduce. Message m = step * pieces + piece, 2 (P-1) steps; in step s this rank sends slice (rank -
// s) and receives slice (rank - s - 1) from its left neighbour, modulo P. Steps below P-1 add what comes in;
// the later ones store it. Message m may go out once message m - pieces has come in: it carries what that one
// completed. A reduce-scatter is the first P-1 steps, one slice on (`lead`), so that a rank ends with its own; an
// all-gather is P-1 steps that store.
struct RingAllReduce::Turn {
  RingAllReduce& ring;
  std::span<float> values;
  bool adds;
  std::int64_t slice_size, pieces, messages, reduce_messages, lead;
  std::int64_t posted = 0, received = 0, started = 0, sent = 0;
  std::vector<MPI_Request> receives, sends;

  Turn(RingAllReduce& r, std::span<float> v, bool reduces, bool gathers, bool adds_too)
      : ring(r), values(v), adds(adds_too), lead(gathers ? 0 : 1) {
    slice_size = (static_cast<std::int64_t>(v.size()) + ring.size_ - 1) / ring.size_;
    pieces = std::max<std::int64_t>(1, (slice_size + kPiece - 1) / kPiece);
    reduce_messages = reduces ? (ring.size_ - 1) * pieces : 0;
    messages = reduce_messages + (gathers ? (ring.size_ - 1) * pieces : 0);
    receives.assign(kWindow, MPI_REQUEST_NULL);
    sends.assign(messages, MPI_REQUEST_NULL);
  }

  /// The part of the buffer that message m carries, sent (lag 0) or received (lag 1) by this rank.
  std::span<float> part(std::int64_t m, int lag) const {
    const std::int64_t size = ring.size_, total = static_cast<std::int64_t>(values.size());
    const std::int64_t slice = ((ring.rank_ - lead - m / pieces - lag) % size + size) % size;
    const std::int64_t end = std::min(total, (slice + 1) * slice_size);
    const std::int64_t begin = std::min(end, slice * slice_size + m % pieces * kPiece);
    return values.subspan(begin, std::min(kPiece, end - begin));
  }

  float* slot(std::int64_t m) const { return ring.incoming_.data() + m % kWindow * kPiece; }

  void post_receives() {
    const int left = (ring.rank_ + ring.size_ - 1) % ring.size_;
    for (; posted < messages && posted < received + kWindow; ++posted) {
      const std::span<float> target = part(posted, 1);
      const bool reduces = posted < reduce_messages;
      // what is overwritten must have left: it went out as message posted - reduce_messages of the sums
      if (!reduces && reduce_messages > 0 && sent <= posted - reduce_messages) break;
      GPUMONTH_MPI(MPI_Irecv, reduces ? slot(posted) : target.data(), static_cast<int>(target.size()), MPI_FLOAT, left,
                   ring.tag_, ring.comm_, &receives[posted % kWindow]);
    }
  }

  void start_sends() {
    const int right = (ring.rank_ + 1) % ring.size_;
    for (; started < messages && started < sent + kWindow && started < received + pieces; ++started) {
      const std::span<float> source = part(started, 0);
      GPUMONTH_MPI(MPI_Isend, source.data(), static_cast<int>(source.size()), MPI_FLOAT, right, ring.tag_, ring.comm_,
                   &sends[started]);
    }
  }

  bool take_received() {
    if (received == posted) return false;
    int done = 0;
    GPUMONTH_MPI(MPI_Test, &receives[received % kWindow], &done, MPI_STATUS_IGNORE);
    if (!done) return false;
    if (adds && received < reduce_messages) {
      const float* from = slot(received);
      for (float& value : part(received, 1)) value += *from++;
    }
    ++received;
    return true;
  }

  bool take_sent() {
    if (sent == started) return false;
    int done = 0;
    GPUMONTH_MPI(MPI_Test, &sends[sent], &done, MPI_STATUS_IGNORE);
    sent += done ? 1 : 0;
    return done != 0;
  }

  void run() {
    PoliteWait wait;
    while (received < messages || sent < messages) {
      post_receives();
      start_sends();
      const bool progress = take_received() | take_sent();
      if (progress) {
        wait.reset();
      } else {
        wait.pause();
      }
    }
  }
};

RingAllReduce::RingAllReduce(MPI_Comm comm, int tag) : comm_(comm), tag_(tag) {
  GPUMONTH_MPI(MPI_Comm_rank, comm, &rank_);
  GPUMONTH_MPI(MPI_Comm_size, comm, &size_);
}

void RingAllReduce::run(std::span<float> values, bool reduces, bool gathers, bool adds) {
  if (size_ == 1 || values.empty()) return;
  incoming_.resize(kWindow * kPiece);
  Turn(*this, values, reduces, gathers, adds).run();
}

void RingAllReduce::sum(std::span<float> values) { run(values, true, true); }
void RingAllReduce::reduce_scatter(std::span<float> values) { run(values, true, false); }
void RingAllReduce::all_gather(std::span<float> values) { run(values, false, true); }
void RingAllReduce::send_only(std::span<float> values) { run(values, true, true, false); }

}  // namespace gpumonth::comm
