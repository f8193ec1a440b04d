// Which points of two sets stand against each other, and against which point an efficiency counts.
#pragma once

#include <vector>

#include "scaling/compare/noise.h"

namespace gpumonth::scaling {

struct MatchedCell {
  std::size_t a = 0, b = 0;  ///< indices of cells
  std::size_t baseline = 0;  ///< index of a matched cell: itself for a baseline
};

/// The cells that both have, with their baselines at the fewest ranks of those: the one of the same batch per
/// rank, else of the same global batch (strong scaling), else of the largest batch. What one has alone goes
/// to `notes`. Throws UserError where fewer than two rank counts are left.
std::vector<MatchedCell> match_cells(const RunSet& set_a, const std::vector<Cell>& a, const RunSet& set_b,
                                     const std::vector<Cell>& b, std::vector<std::string>& notes);

/// Whether cells are told apart by batch: both sets know theirs. Throws UserError where only one does and has
/// several at one rank count.
bool use_batch(const RunSet& a, const RunSet& b);

/// "8 ranks, batch 4 per rank".
std::string place_text(std::int64_t ranks, double batch_per_rank);

}  // namespace gpumonth::scaling
