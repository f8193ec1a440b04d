// What trainings reached, as their bills say: FLOPs over GPU time x peak, of every recipe with a disclosed bill
// (configs/published/recipes*/). Who publishes an MFU is proud of it; a bill is published for other reasons. Stops are taken
// out, with the median of the recipe's [goodput] on its own number of GPUs, because a budget counts them on a rung of their
// own. docs/method.md, "Utilisation by bills".
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

struct Bill {
  std::string path, family;
  std::string utilisation_class;  ///< "large", "text", "media"
  double logit = 0;               ///< log(u / (1 - u)) of the utilisation u, geometric middle of the FLOPs' range
  double variance = 0;            ///< of the logit, from that range
};

/// What a recipe teaches. Nothing: it has no class, because its utilisation is its own (a benchmark whose FLOPs cancel, a
/// number format that is not stated), or its bill is an estimate of others. Throws UserError: no family, or a bill that
/// asks for more than the peak.
std::optional<Bill> bill_of(const Scenario& recipe);

/// Those that teach among every recipe that the program came with: *.toml in the folders configs/published/recipes*.
/// Throws UserError where there are no such folders.
std::vector<Bill> shipped_bills();

}  // namespace gpumonth::budget
