// A training as lengths of samples, each with its share of the work: a utilisation that depends on the length is the
// harmonic mean over them, because times add up.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::budget {

struct LengthShare {
  std::string id;         ///< "clip": for JSON, letters and _
  double flop_share = 1;  ///< of the training's model FLOPs; over all lengths 1
  double tokens = 0;      ///< of one sample
};
using LengthShares = std::vector<LengthShare>;

/// 1 / sum(flop share / utilisation at that length).
template <class UtilisationAt>
double harmonic_mean(const LengthShares& lengths, const UtilisationAt& utilisation_at) {
  double time = 0;
  for (const auto& length : lengths) time += length.flop_share / utilisation_at(length.tokens);
  return 1 / time;
}

}  // namespace gpumonth::budget
