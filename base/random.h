// Random numbers that are the same with every standard library: std::uniform_real_distribution and
// std::normal_distribution are not. What is keyed by step and sample instead is in trainer/ops/random.h.
#pragma once

#include <cstdint>

namespace gpumonth {

/// Uniform in (0, 1), never an end of it: the upper 53 of 64 random bits.
constexpr double unit_interval(std::uint64_t bits) { return (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53; }

/// A standard normal in each call, of one sequence per seed (SplitMix64; Box and Muller).
class NormalDraws {
 public:
  explicit NormalDraws(std::uint64_t seed) : state_(seed) {}
  double operator()();
  double uniform() { return unit_interval(next()); }

 private:
  std::uint64_t next();
  std::uint64_t state_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace gpumonth
