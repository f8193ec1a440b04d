// Which steps of a run log an export holds: a log may have a million, and a picture of ten is enough.
#pragma once

#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::exchange {

/// What is taken where --steps names nothing.
enum class DefaultSteps {
  all,
  last_steady,     ///< the last 10, and back to the last one with a timeline of its buckets
  last_exchanged,  ///< the last 5 steady ones whose communication is known: that have a timeline of their buckets
};

struct StepSelection {
  std::vector<const runlog::StepRecord*> steps;  ///< into the Run's; ascending, never empty
  std::string left_out;                          ///< one line for the reader; empty: nothing was
};

/// `asked`: "A:B", both included, or one step; empty: as `by_default` says. With last_exchanged, steps of several ranks
/// without a timeline of their buckets are left out of A:B too. Throws UserError, naming what the log has: `asked` is
/// something else, the log has none of these steps, no steady step, no timeline of buckets; no steps at all.
StepSelection select_steps(const runlog::Run& run, const std::string& asked, DefaultSteps by_default);

}  // namespace gpumonth::exchange
