// Where a place on a curve has runs of several kinds, the best kind alone counts: measured before replayed before
// simulated; a forecast is for where there is none of them. `fit`, `budget` and `report` all ask here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::scaling {

/// A run as a point of its curve.
struct PlacedRun {
  std::string path;
  int ranks = 1;
  double batch_per_rank = 0;  ///< samples per step and rank
  runlog::Origin origin = runlog::Origin::measured;
};

/// By run, which of these runs counts in its stead: the first of the best kind at its ranks and batch. Nothing: it counts
/// itself. All of one curve.
std::vector<std::optional<std::size_t>> superseding(std::span<const PlacedRun> runs);

/// "left out, as a run of a better kind is there at the same ranks and batch (...): r2.h5 (replayed, for m2.h5)"; empty where
/// all count.
std::string superseded_note(std::span<const PlacedRun> runs);

/// "3 measured, 2 simulated"; empty where all were measured.
std::string kinds_text(std::span<const PlacedRun> runs);

}  // namespace gpumonth::scaling
