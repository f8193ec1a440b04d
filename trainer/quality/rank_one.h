// The one pattern in all channels of a latent, as far as there is one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gpumonth::trainer {

struct RankOne {
  std::vector<double> direction;  ///< (C), of length 1: how strong the pattern is in each channel
  std::vector<float> pattern;     ///< (n), mean 0, variance 1; its third moment is not negative
  bool empty = false;             ///< each channel is flat: the pattern is zero
};

/// `latent` (C, n), finite. The first eigenvector of the channels' covariance, and the values along it.
RankOne rank_one(std::span<const float> latent, std::int64_t channels);

}  // namespace gpumonth::trainer
