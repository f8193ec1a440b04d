// Random numbers of a replay, Random123's Philox4x32-10: the same for the same (seed, purpose, place), whatever the rank
// that asks, so that all ranks draw the same step without telling each other.
#pragma once

#include <cstdint>

namespace gpumonth::replay {

enum class Purpose : std::uint32_t { block = 101, rank = 102, step_of_rank = 103 };

/// Uniform in (0, 1), 53 bits.
double uniform(std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint32_t rank);
/// Standard normal, by inversion: good in the tails, where the slowest of many ranks is.
double normal(std::uint64_t seed, Purpose purpose, std::uint64_t step, std::uint32_t rank);

}  // namespace gpumonth::replay
