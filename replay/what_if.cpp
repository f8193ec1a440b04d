#include "replay/what_if.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "base/error.h"

namespace gpumonth::replay {

void check(const WhatIf& c) {
  if (!(c.compute_scale >= 1e-6 && c.compute_scale <= 1e6))
    user_error("compute scale {} (--compute-scale): give a number from 1e-6 to 1e6; 0.5 is a GPU twice as fast",
               c.compute_scale);
  if (!(c.byte_scale >= 1e-9 && c.byte_scale <= 1))
    user_error("byte scale {} (--byte-scale): give a number from 1e-9 to 1; 0.001 with links 1,000 times as slow",
               c.byte_scale);
  if (c.batch_per_rank < 0) user_error("{} samples a rank: give a positive number", c.batch_per_rank);
}

RecordedConfig changed(RecordedConfig config, const WhatIf& c) {
  if (c.bucket_mib > 0) config.bucket_mib = c.bucket_mib;
  if (!c.reduce_dtype.empty()) config.wire = c.reduce_dtype;
  if (!c.sharding.empty()) config.sharding = c.sharding;
  return config;
}

std::string to_text(const WhatIf& c) {
  std::vector<std::string> said;
  if (c.compute_scale != 1) said.push_back(fmt::format("compute x {}", c.compute_scale));
  if (c.batch_per_rank > 0) said.push_back(fmt::format("{} samples a rank", c.batch_per_rank));
  if (c.byte_scale != 1) said.push_back(fmt::format("bytes x {}", c.byte_scale));
  if (c.bucket_mib > 0) said.push_back(fmt::format("buckets of {} MiB", c.bucket_mib));
  if (!c.reduce_dtype.empty()) said.push_back(fmt::format("gradients travel in {}", c.reduce_dtype));
  if (!c.sharding.empty()) said.push_back(fmt::format("sharding {}", c.sharding));
  if (!c.stragglers) said.push_back("no stragglers");
  return fmt::format("{}", fmt::join(said, "; "));
}

}  // namespace gpumonth::replay
