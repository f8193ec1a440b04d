// How long a run starts slower than it goes on, from its step times alone. It makes a note: such steps count all the
// same.
#pragma once

#include <cstddef>
#include <span>

namespace gpumonth::runlog {

/// How many leading times are slower than what follows: the truncation that gives the rest the smallest squared
/// standard error (MSER; White, "An effective truncation heuristic for bias reduction in simulation output",
/// Simulation 69(6), 1997), at most half. Times are clipped at median + 5 x 1.4826 x MAD of
/// the second half first, so that one stall does not decide. 0 where the median of the truncated times is not above
/// the rest's 75th percentile, and for fewer than 8 times.
std::size_t warm_up_length(std::span<const double> step_times_s);

}  // namespace gpumonth::runlog
