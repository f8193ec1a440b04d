#include "comm/all_reduce_check.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comm/timed_all_reduce.h"

namespace gpumonth::comm {
namespace {

constexpr std::int64_t kPeriod = 1021;  // prime: no two ranks' slices, packets or vector lanes look alike

/// Small integers: their sum over 16,000 ranks is exact in fp32, in whatever order it is made.
float pattern(std::int64_t i, int rank) { return static_cast<float>((i % kPeriod * 31 + 7) % kPeriod + rank % 64); }

std::vector<float> expected_period(int ranks) {
  std::int64_t of_ranks = 0;
  for (int r = 0; r < ranks; ++r) of_ranks += r % 64;
  std::vector<float> sums(kPeriod);
  for (std::int64_t i = 0; i < kPeriod; ++i) sums[i] = static_cast<float>((i * 31 + 7) % kPeriod * ranks + of_ranks);
  return sums;
}

/// Each value of all ranks' greatest.
std::vector<double> max_over_ranks(Communicator& communicator, std::span<const double> values) {
  const std::size_t n = values.size();
  std::vector<double> all(n * communicator.size());
  std::copy(values.begin(), values.end(), all.begin() + static_cast<std::ptrdiff_t>(n * communicator.rank()));
  communicator.all_reduce_sum(std::span<double>(all));
  std::vector<double> most(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n));
  for (std::size_t i = n; i < all.size(); ++i) most[i % n] = std::max(most[i % n], all[i]);
  return most;
}

bool is_correct(Communicator& communicator, TimedAllReduce& target, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  const std::int64_t first = std::min(count, kPeriod);
  for (std::int64_t i = 0; i < first; ++i) values[i] = pattern(i, communicator.rank());
  for (std::int64_t i = first; i < count; i += kPeriod)
    std::copy_n(values.begin(), std::min(kPeriod, count - i), values.begin() + i);
  target.write(values);
  target.run(count, 1);
  target.read(values);
  const std::vector<float> sums = expected_period(communicator.size());
  double wrong = 0;
  for (std::int64_t i = 0; i < count; i += kPeriod) {
    const std::int64_t n = std::min(kPeriod, count - i);
    if (!std::equal(sums.begin(), sums.begin() + n, values.begin() + i)) ++wrong;
  }
  return max_over_ranks(communicator, {&wrong, 1})[0] == 0;
}

/// As many as fit into the budget, the same number on every rank.
int choose_repeats(Communicator& communicator, TimedAllReduce& target, std::int64_t count, double budget_s) {
  const std::vector<double> took_s = target.run(count, 3);
  const double least = *std::min_element(took_s.begin(), took_s.end());
  const double slowest_s = std::max(1e-7, max_over_ranks(communicator, {&least, 1})[0]);
  return static_cast<int>(std::clamp(budget_s / slowest_s, 5.0, 1000.0));
}

void time(Communicator& communicator, TimedAllReduce& target, const AllReducePlan& plan, AllReduceResult& result) {
  const std::int64_t count = result.bytes / 4;
  target.clear(count);  // sums stay finite, however often
  if (plan.warmup > 0) target.run(count, plan.warmup);
  result.repeats = plan.repeats > 0 ? plan.repeats : choose_repeats(communicator, target, count, plan.budget_s);
  communicator.barrier();
  std::vector<double> took_s = target.run(count, result.repeats);
  const double sum_s = std::accumulate(took_s.begin(), took_s.end(), 0.0);
  std::sort(took_s.begin(), took_s.end());
  const auto nearest_rank = [&](double share) {
    return took_s[static_cast<std::size_t>(std::ceil(share * result.repeats)) - 1];
  };
  const double mine[] = {sum_s / result.repeats, nearest_rank(0.5), nearest_rank(0.99)};
  const std::vector<double> slowest = max_over_ranks(communicator, mine);
  result.seconds = slowest[0];
  result.median_s = slowest[1];
  result.p99_s = slowest[2];
}

}  // namespace

std::vector<AllReduceResult> check_all_reduce(Communicator& communicator, std::span<const std::int64_t> sizes_bytes,
                                              const AllReducePlan& plan) {
  if (sizes_bytes.empty()) return {};
  const std::int64_t most = *std::max_element(sizes_bytes.begin(), sizes_bytes.end());
  const auto target = communicator.make_timed_all_reduce(most / 4);
  std::vector<AllReduceResult> results;
  for (const std::int64_t bytes : sizes_bytes) {
    AllReduceResult result;
    result.bytes = bytes;
    result.correct = is_correct(communicator, *target, bytes / 4);
    time(communicator, *target, plan, result);
    results.push_back(result);
  }
  return results;
}

}  // namespace gpumonth::comm
