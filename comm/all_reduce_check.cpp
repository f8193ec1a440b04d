#include "comm/all_reduce_check.h"

#include <algorithm>
#include <chrono>

namespace gpumonth::comm {
namespace {

/// Small integers: their sum over a few thousand ranks is exact in fp32, in whatever order it is made.
float pattern(std::int64_t i, int rank) { return static_cast<float>((i * 31 + 7) % 1021 + rank % 64); }

double expected(std::int64_t i, int size) {
  double sum = 0;
  for (int r = 0; r < size; ++r) sum += pattern(i, r);
  return sum;
}

double max_over_ranks(Communicator& communicator, double value) {
  std::vector<double> all(communicator.size());
  all[communicator.rank()] = value;
  communicator.all_reduce_sum(std::span<double>(all));
  return *std::max_element(all.begin(), all.end());
}

bool is_correct(Communicator& communicator, std::span<float> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  for (std::int64_t i = 0; i < count; ++i) values[i] = pattern(i, communicator.rank());
  communicator.all_reduce_sum(values);
  double wrong = 0;
  const std::int64_t stride = std::max<std::int64_t>(1, count / 10007);  // a sample of the large ones
  for (std::int64_t i = 0; i < count; i += stride)
    wrong += values[i] != expected(i, communicator.size()) ? 1 : 0;
  return max_over_ranks(communicator, wrong) == 0;
}

double time_one(Communicator& communicator, std::span<float> values) {
  using Clock = std::chrono::steady_clock;
  std::fill(values.begin(), values.end(), 0.0f);  // sums stay finite, however often
  double seconds = 0;
  int repeats = 1;
  for (;; repeats *= 4) {  // long enough for the clock, and the same number on every rank
    communicator.barrier();
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i) communicator.all_reduce_sum(values);
    seconds = max_over_ranks(communicator, std::chrono::duration<double>(Clock::now() - start).count());
    if (seconds > 0.03 || repeats >= 1024) return seconds / repeats;
  }
}

}  // namespace

std::vector<AllReduceResult> check_all_reduce(Communicator& communicator,
                                              std::span<const std::int64_t> sizes_bytes) {
  if (sizes_bytes.empty()) return {};
  const std::int64_t most = *std::max_element(sizes_bytes.begin(), sizes_bytes.end());
  const auto memory = communicator.allocate(most / 4);
  std::vector<AllReduceResult> results;
  for (const std::int64_t bytes : sizes_bytes) {
    const std::span<float> values(memory.get(), static_cast<std::size_t>(bytes / 4));
    AllReduceResult result;
    result.bytes = bytes;
    result.correct = is_correct(communicator, values);
    result.seconds = time_one(communicator, values);
    const double p = communicator.size();
    result.bus_bytes_per_s = 2 * (p - 1) / p * static_cast<double>(bytes) / result.seconds;
    results.push_back(result);
  }
  return results;
}

}  // namespace gpumonth::comm
