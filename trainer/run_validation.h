// What a configuration must be beyond the range of each key by itself.
#pragma once

#include "trainer/run_config.h"

namespace gpumonth::trainer {

/// Model, placeholders, ranks and micro-batches that divide the global batch, ranks that can share samples or state, a schedule
/// that fits into the run, flips that keep labels, a teacher where one is needed and only there. UserError otherwise.
void validate(const RunConfig& config, int world_size);

}  // namespace gpumonth::trainer
