// How much slower than the mean each replayed rank is: drawn anew for each, so that 8 recorded ranks become 4,096 without
// 512 copies of the same slow one.
#pragma once

#include <cstdint>

#include "runlog/busy_spread.h"

namespace gpumonth::replay {

/// Standard deviations as shares of the mean busy time.
struct Spread {
  double persistent = 0;  ///< between ranks: some are always slower
  double per_step = 0;    ///< jitter of a rank from step to step
};

/// Of all that the logs of several ranks say together; zero where none does.
Spread spread(const runlog::BusySpread& squares);

/// factor = 1 + persistent z(rank) + per_step z(step, rank), z standard normal, keyed by (seed, rank) and (seed, step,
/// rank). Mean 1 over ranks, so the slowest of N takes 1 + sqrt(persistent^2 + per_step^2) E_N in the mean (E_N:
/// scaling/fit/components.h). Never below a tenth.
class Stragglers {
 public:
  Stragglers(const Spread& spread, std::uint64_t seed) : spread_(spread), seed_(seed) {}
  double factor(std::int64_t step, int rank) const;

 private:
  Spread spread_;
  std::uint64_t seed_;
};

}  // namespace gpumonth::replay
