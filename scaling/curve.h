// Throughput measured at several rank counts: what a fit starts from, whether it was read from run logs or a table.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::scaling {

constexpr double kLargestBatch = 1e12;  ///< samples per step and rank; more is no batch

struct ScalingPoint {
  std::int64_t ranks = 0;
  double batch_per_rank = std::numeric_limits<double>::quiet_NaN();  ///< samples per step and rank; NaN: unknown
  double samples_per_s = 0;                                          ///< of all ranks together
  std::string run;                                                   ///< which run it comes from; empty where unknown
  std::optional<runlog::Origin> origin = {};                         ///< of a run log; nothing: of a table
};

struct ScalingCurve {
  std::string name;
  std::string unit = "samples/s";    ///< of samples_per_s; "tokens/s" and the like scale out of every result
                                     ///< (scaling/throughput_unit.h); another only where nobody may use the curve
  std::string kind;                  ///< "weak (...)", "mixed (...)", "strong ...", as its source says; may be empty
  std::string source;                ///< file or publication
  std::vector<ScalingPoint> points;  ///< several with the same ranks and batch are repeats
  std::vector<std::string> notes;    ///< what was left out on the way here, for the reader
};

/// Whether every point says its batch per rank.
bool has_batch(const ScalingCurve& curve);

/// Throws UserError, naming curve and point, where the unit is no throughput of all ranks, the curve has no
/// point, a rank count below 1, a throughput or batch that is not positive and finite, or a batch on some
/// points and not on others.
void check(const ScalingCurve& curve);

/// Puts points in order of ranks, then of falling batch; keeps the order of repeats.
void sort(ScalingCurve& curve);

/// Median throughput of each (ranks, batch) in the order of sort(); `spread` is max / min - 1 over its repeats.
struct ScalingGroup {
  std::int64_t ranks = 0;
  double batch_per_rank = 0;
  double samples_per_s = 0;
  double spread = 0;
  std::size_t repeats = 0;
  std::optional<runlog::Origin> origin = {};  ///< of its points, which are of one kind (run_kinds.h)
};
std::vector<ScalingGroup> groups(const ScalingCurve& curve);

}  // namespace gpumonth::scaling
