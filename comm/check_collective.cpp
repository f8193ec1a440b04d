#include "comm/check_collective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "comm/timed_collective.h"

namespace gpumonth::comm {
namespace {

constexpr std::int64_t kPeriod = 1021;            // prime: no two ranks' slices, packets or vector lanes look alike
constexpr std::int64_t kCompared = 64 * kPeriod;  // values compared at a time

/// What a rank sends: at i, times * p(i) + plus, with p small integers. The sum over 16,000 ranks is exact in fp32, in
/// whatever order it is made; what is not summed tells more ranks from each other.
struct Pattern {
  std::int64_t times, plus;

  static Pattern of_rank(const Collective& operation, int rank) { return {1, operation.sums ? rank % 64 : rank}; }
  static Pattern of_sum(int ranks) {
    Pattern sum{ranks, 0};
    for (int r = 0; r < ranks; ++r) sum.plus += r % 64;
    return sum;
  }

  /// Values first, first + 1, ...
  void fill(std::int64_t first, std::span<float> values) const {
    const auto count = static_cast<std::int64_t>(values.size()), once = std::min(count, kPeriod);
    for (std::int64_t i = 0; i < once; ++i)
      values[i] = static_cast<float>(((first + i) % kPeriod * 31 + 7) % kPeriod * times + plus);
    for (std::int64_t i = once; i < count; i += kPeriod)
      std::copy_n(values.begin(), std::min(kPeriod, count - i), values.begin() + i);
  }
};

bool equals(const Pattern& pattern, std::int64_t first, std::span<const float> values) {
  std::vector<float> block(std::min<std::size_t>(values.size(), kCompared));
  for (std::size_t begin = 0; begin < values.size(); begin += block.size()) {
    const std::size_t n = std::min(block.size(), values.size() - begin);
    pattern.fill(first + static_cast<std::int64_t>(begin), std::span(block).first(n));
    if (!std::equal(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n),
                    values.begin() + static_cast<std::ptrdiff_t>(begin)))
      return false;
  }
  return true;
}

/// On this rank. `received`: all of it.
bool is_as_expected(const Collective& operation, const CollectiveBuffers& buffers, std::span<const float> received) {
  const int shares = operation.in_shares ? buffers.ranks : 1;
  const std::int64_t size = buffers.count / shares;
  for (int share = 0; share < shares; ++share) {
    const ExpectedShare expected = operation.expected(buffers, share);
    if (expected.from == ExpectedShare::nobody) continue;
    const Pattern pattern = expected.from == ExpectedShare::sum_of_all ? Pattern::of_sum(buffers.ranks)
                                                                       : Pattern::of_rank(operation, expected.sender);
    const auto part = received.subspan(static_cast<std::size_t>(share * size), static_cast<std::size_t>(size));
    if (!equals(pattern, expected.position * size, part)) return false;
  }
  return true;
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

bool is_correct(Communicator& communicator, const Collective& operation, TimedCollective& target, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  Pattern::of_rank(operation, communicator.rank()).fill(0, values);
  target.write(values);
  target.run(count, 1);
  target.read(values);
  const CollectiveBuffers shape{.count = count, .rank = communicator.rank(), .ranks = communicator.size()};
  const double wrong = is_as_expected(operation, shape, values) ? 0 : 1;
  return max_over_ranks(communicator, {&wrong, 1})[0] == 0;
}

/// As many as fit into the budget, the same number on every rank.
int choose_repeats(Communicator& communicator, TimedCollective& target, std::int64_t count, double budget_s) {
  const std::vector<double> took_s = target.run(count, 3);
  const double least = *std::min_element(took_s.begin(), took_s.end());
  const double slowest_s = std::max(1e-7, max_over_ranks(communicator, {&least, 1})[0]);
  return static_cast<int>(std::clamp(budget_s / slowest_s, 5.0, 1000.0));
}

void time(Communicator& communicator, TimedCollective& target, const CollectivePlan& plan, CollectiveResult& result) {
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

std::vector<CollectiveResult> check_collective(Transport& transport, const Collective& operation,
                                               std::span<const std::int64_t> sizes_bytes, const CollectivePlan& plan) {
  if (sizes_bytes.empty()) return {};
  Communicator& ranks = transport.ranks();
  const std::int64_t most = *std::max_element(sizes_bytes.begin(), sizes_bytes.end());
  const auto target = transport.make_timed(operation, operation.count_of(most, ranks.size()));
  std::vector<CollectiveResult> results;
  for (const std::int64_t bytes : sizes_bytes) {
    const std::int64_t count = operation.count_of(bytes, ranks.size());
    CollectiveResult result{.bytes = 4 * count, .bus_factor = operation.bus_factor(ranks.size())};
    result.correct = is_correct(ranks, operation, *target, count);
    time(ranks, *target, plan, result);
    results.push_back(result);
  }
  return results;
}

}  // namespace gpumonth::comm
