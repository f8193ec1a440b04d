#include "replay/what_if.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::replay {

void set_stragglers(WhatIf& changes, std::string_view text) {
  changes.stragglers = text != "off";
  if (text == "on" || text == "off") return;
  const auto items = split_list(text, "--stragglers");
  std::vector<double> shares;
  for (const std::string_view item : items)
    if (const auto share = parse_number(item); share && *share >= 0 && *share <= 0.5) shares.push_back(*share);
  if (items.size() != 2 || shares.size() != 2)
    user_error(
        "stragglers \"{}\" (--stragglers): give on, off, or two shares of a step from 0 to 0.5, between ranks and from "
        "step to step; 0.02,0.01 are 2 % and 1 %",
        text);
  changes.spread = Spread{shares[0], shares[1]};
}

Spread spread_of(const WhatIf& changes, const Spread& recorded) {
  if (!changes.stragglers) return {};
  return changes.spread.value_or(recorded);
}

void check(const WhatIf& c) {
  if (!(c.compute_scale >= 1e-6 && c.compute_scale <= 1e6))
    user_error("compute scale {} (--compute-scale): give a number from 1e-6 to 1e6; 0.5 is a GPU twice as fast",
               c.compute_scale);
  if (!(c.byte_scale >= 1e-9 && c.byte_scale <= 1))
    user_error("byte scale {} (--byte-scale): give a number from 1e-9 to 1; 0.001 with links 1,000 times as slow",
               c.byte_scale);
  if (c.shard_group == 1)
    user_error("--shard-group 1: groups of one rank shard nothing: give a group of 2 or more, or --sharding none");
  if (c.batch_per_rank < 0) user_error("{} samples a rank: give a positive number", c.batch_per_rank);
}

RecordedConfig changed(RecordedConfig config, const WhatIf& c) {
  if (c.bucket_mib > 0) config.bucket_mib = c.bucket_mib;
  if (!c.reduce_dtype.empty()) config.wire = c.reduce_dtype;
  if (!c.sharding.empty()) config.sharding = c.sharding;
  if (c.sharding == "full" || c.shard_group > 0) config.shard_group = c.shard_group;
  if (config.sharding != "full") config.shard_group = 0;
  if (c.accumulate > 0) config.accumulate = c.accumulate;
  if (c.sequence_parallel > 0) config.sequence_parallel = c.sequence_parallel;
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
  if (c.shard_group > 0) said.push_back(fmt::format("groups of {}", c.shard_group));
  if (c.accumulate > 0) said.push_back(fmt::format("{} micro-batch{}", c.accumulate, c.accumulate == 1 ? "" : "es"));
  if (c.sequence_parallel > 0)
    said.push_back(fmt::format("{} rank{} a sample", c.sequence_parallel, c.sequence_parallel == 1 ? "" : "s"));
  if (!c.stragglers) said.push_back("no stragglers");
  if (c.stragglers && c.spread)
    said.push_back(fmt::format("stragglers of {:.3g} % between ranks and {:.3g} % from step to step, assumed",
                               1e2 * c.spread->persistent, 1e2 * c.spread->per_step));
  return fmt::format("{}", fmt::join(said, "; "));
}

}  // namespace gpumonth::replay
