#include "replay/stragglers.h"

#include <algorithm>
#include <cmath>

#include "replay/draw.h"

namespace gpumonth::replay {

Spread spread(const runlog::BusySpread& squares) {
  if (!squares.known()) return {};
  return {std::sqrt(squares.persistent_variance()), std::sqrt(squares.per_step_variance())};
}

double Stragglers::factor(std::int64_t step, int rank) const {
  const auto r = static_cast<std::uint32_t>(rank);
  double factor = 1;
  if (spread_.persistent > 0) factor += spread_.persistent * normal(seed_, Purpose::rank, 0, r);
  if (spread_.per_step > 0)
    factor += spread_.per_step * normal(seed_, Purpose::step_of_rank, static_cast<std::uint64_t>(step), r);
  return std::max(0.1, factor);
}

}  // namespace gpumonth::replay
