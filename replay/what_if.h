// What a replay or a simulation changes of what was recorded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "replay/recorded_config.h"
#include "replay/stragglers.h"

namespace gpumonth::replay {

struct WhatIf {
  double compute_scale = 1;           ///< of forward, backward and update: 0.5 is a GPU twice as fast
  std::int64_t batch_per_rank = 0;    ///< samples that a rank has, or has a part of; 0: as recorded
  double byte_scale = 1;              ///< of what gradients send: 0.001 with links 1,000 times as slow
  double bucket_mib = 0;              ///< before byte_scale; 0: as recorded
  std::string reduce_dtype = {};      ///< fp32 | bf16; empty: as recorded
  std::string sharding = {};          ///< none | optimizer | full; empty: as recorded
  int shard_group = 0;                ///< of sharding = full: ranks that hold the whole; 0: all
  int accumulate = 0;                 ///< micro-batches; 0: as recorded
  int sequence_parallel = 0;          ///< ranks that share each sample; 0: as recorded
  bool stragglers = true;             ///< false: every rank takes the recorded rank's time
  std::optional<Spread> spread = {};  ///< of the stragglers, in place of the recorded: one GPU's log tells none
};

/// "on", "off", or the spread itself as shares of a step, between ranks and from step to step: "0.02,0.01". UserError
/// otherwise.
void set_stragglers(WhatIf& changes, std::string_view text);
/// What stragglers are drawn with.
Spread spread_of(const WhatIf& changes, const Spread& recorded);

/// UserError: a number out of range, named by its option.
void check(const WhatIf& changes);
/// The recorded configuration with bucket size, wire type, sharding, micro-batches and shared samples as changed.
RecordedConfig changed(RecordedConfig config, const WhatIf& changes);

/// "compute x 0.5; bytes x 0.001; buckets of 64 MiB": for the log's source_changes. Empty: nothing.
std::string to_text(const WhatIf& changes);

}  // namespace gpumonth::replay
