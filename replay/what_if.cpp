#include "replay/what_if.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

namespace gpumonth::replay {

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
