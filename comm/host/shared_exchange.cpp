// SharedGroup's collectives that move values and add none.
#include <algorithm>
#include <cstring>

#include "comm/host/shared_group.h"

namespace gpumonth::comm {

void SharedGroup::all_gather(std::span<float> values) {
  const auto count = static_cast<std::int64_t>(values.size()), share = count / size_;
  if (const Place place = find(values); place.region) {
    announce(Operation::all_gather, place.offset, count);
    for (int r = 0; r < size_; ++r)
      if (r != rank_) std::copy_n(place.of_rank(r) + r * share, share, values.data() + r * share);
    barrier();
    return;
  }
  constexpr std::int64_t kChunk = kStagingBytes / sizeof(float);
  for (std::int64_t begin = 0; begin < share; begin += kChunk) {
    const std::int64_t n = std::min(kChunk, share - begin);
    const std::size_t half = next_half();  // one barrier a chunk is enough, as in staged_sum()
    std::memcpy(staging_->of_rank(rank_) + half, values.data() + rank_ * share + begin, n * sizeof(float));
    announce(Operation::all_gather, -1, count);
    for (int r = 0; r < size_; ++r)
      if (r != rank_) std::memcpy(values.data() + r * share + begin, staging_->of_rank(r) + half, n * sizeof(float));
  }
}

void SharedGroup::all_to_all(std::span<const float> sent, std::span<float> received) {
  const auto count = static_cast<std::int64_t>(sent.size()), share = count / size_;
  if (const Place place = find(sent); place.region) {
    announce(Operation::all_to_all, place.offset, count);
    for (int r = 0; r < size_; ++r) std::copy_n(place.of_rank(r) + rank_ * share, share, received.data() + r * share);
    barrier();
    return;
  }
  // A chunk of each share, one behind the other.
  const std::int64_t chunk = static_cast<std::int64_t>(kStagingBytes / sizeof(float)) / size_;
  const auto staged = [&](int of, int to, std::size_t half) {
    return reinterpret_cast<float*>(staging_->of_rank(of) + half) + to * chunk;
  };
  for (std::int64_t begin = 0; begin < share; begin += chunk) {
    const std::int64_t n = std::min(chunk, share - begin);
    const std::size_t half = next_half();
    for (int r = 0; r < size_; ++r) std::copy_n(sent.data() + r * share + begin, n, staged(rank_, r, half));
    announce(Operation::all_to_all, -1, count);
    for (int r = 0; r < size_; ++r) std::copy_n(staged(r, rank_, half), n, received.data() + r * share + begin);
  }
}

}  // namespace gpumonth::comm
