// The network that a consistency model is distilled from: EMA weights of a checkpoint of `gpumonth train`.
#pragma once

#include <memory>

#include "model/parameters.h"
#include "trainer/dit/dit_setup.h"

namespace gpumonth::trainer {

struct RunConfig;

/// What config.objective asks for, the teacher's weights read; null where nothing is distilled. UserError: a teacher that
/// is missing, damaged, of another network or without EMA weights, one that is a consistency model itself, guidance
/// without a null label.
std::shared_ptr<const ConsistencySetup> read_teacher(const RunConfig& config, const model::ParameterTable& table);

}  // namespace gpumonth::trainer
