// A random permutation without a table: a Feistel network on the next even power of two, walked until it
// lands inside the dataset (Black & Rogaway, "Ciphers with arbitrary finite domains", 2002).
#include <bit>

#include "trainer/data/data.h"
#include "trainer/ops/random.h"

namespace gpumonth::trainer {
namespace {

constexpr std::uint32_t kRounds = 8;

std::uint64_t feistel(std::uint64_t value, int half_bits, std::uint64_t seed, std::uint32_t epoch) {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t left = value >> half_bits, right = value & mask;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const ops::Random4 r = ops::philox(seed, epoch, round, ops::Purpose::shuffle, static_cast<std::uint32_t>(right));
    const std::uint64_t next = left ^ (r.v[0] & mask);
    left = right;
    right = next;
  }
  return left << half_bits | right;
}

}  // namespace

std::int64_t shuffled_index(std::int64_t position, std::int64_t dataset_size, std::uint64_t seed) {
  const auto size = static_cast<std::uint64_t>(dataset_size), at = static_cast<std::uint64_t>(position);
  if (size <= 1) return 0;
  const int half_bits = (static_cast<int>(std::bit_width(size - 1)) + 1) / 2;
  std::uint64_t index = at % size;
  do {
    index = feistel(index, half_bits, seed, static_cast<std::uint32_t>(at / size));
  } while (index >= size);
  return static_cast<std::int64_t>(index);
}

}  // namespace gpumonth::trainer
