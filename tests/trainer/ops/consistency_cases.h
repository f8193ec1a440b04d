// Inputs of the consistency loss that both backends are held against.
#pragma once

#include <string>
#include <vector>

#include "tests/trainer/ops/values.h"
#include "trainer/ops/consistency.h"

namespace gpumonth::tests {

struct ConsistencyCase {
  std::string name;
  ops::LatentShape shape;
  bool learn_sigma;
  ops::ConsistencyMetric metric;
  std::vector<std::int32_t> t;
  std::vector<ops::ConsistencyCoefficients> table = ops::consistency_coefficients(ops::DiffusionSchedule(), 20);
  std::vector<float> tokens = random_values(latents() * (learn_sigma ? 2 : 1), 1);
  std::vector<float> x_t = random_values(latents(), 2);
  std::vector<float> target = random_values(latents(), 3);

  std::int64_t batch() const { return static_cast<std::int64_t>(t.size()); }
  std::int64_t latents() const { return batch() * shape.channels * shape.plane(); }

  ops::ConsistencyLossInput input(const float* tokens_at, const float* x_t_at, const float* target_at,
                                  const std::int32_t* t_at, const ops::ConsistencyCoefficients* table_at) const {
    return {tokens_at, x_t_at, target_at, t_at, table_at, shape, batch(), learn_sigma, metric};
  }

  /// Where epsilon of latent value i (C, F, H, W) of sample b lies, from the definition of unpatchify.
  std::size_t token_of(std::int64_t b, std::int64_t i) const {
    const ops::LatentShape& s = shape;
    const std::int64_t x = i % s.width, y = i / s.width % s.height, f = i / (s.width * s.height) % s.frames;
    const std::int64_t channel = i / s.plane();
    const std::int64_t token =
        (f / s.temporal_patch * (s.height / s.patch) + y / s.patch) * (s.width / s.patch) + x / s.patch;
    const std::int64_t q = (f % s.temporal_patch * s.patch + y % s.patch) * s.patch + x % s.patch;
    const std::int64_t out_channels = s.channels * (learn_sigma ? 2 : 1);
    return static_cast<std::size_t>(((b * s.tokens() + token) * s.patch_volume() + q) * out_channels + channel);
  }
};

inline const ConsistencyCase kConsistencyCases[] = {
    {"image", {4, 1, 8, 8, 1, 2}, true, ops::ConsistencyMetric::pseudo_huber, {0, 1, 20, 400, 999}},
    {"image, squares", {4, 1, 8, 8, 1, 2}, true, ops::ConsistencyMetric::l2, {0, 1, 20, 400, 999}},
    {"video", {3, 4, 4, 8, 2, 2}, false, ops::ConsistencyMetric::pseudo_huber, {700, 3}},
    {"odd", {5, 3, 6, 9, 3, 3}, true, ops::ConsistencyMetric::l2, {250}},
    {"large", {4, 1, 32, 32, 1, 2}, true, ops::ConsistencyMetric::pseudo_huber, {900, 30}},
};

}  // namespace gpumonth::tests
