// A log of `gpumonth sample` as a budget reads it: the share of the peak that the sampler reached. FLOPs are those of the
// forward passes that were done, the null label's with them, so that the share carries over to other steps, guidance and
// models, as a training's MFU does.
#pragma once

#include <string>
#include <vector>

#include "budget/inputs/efficiency.h"
#include "runlog/record.h"

namespace gpumonth::budget {

struct SampledRun {
  Efficiency efficiency;
  runlog::SamplingInfo sampling;
  bool guided() const { return sampling.guidance != 1; }
};

/// `run` is of sampling.
SampledRun sampled_run(const runlog::Run& run);

/// Share of the peak that samplers reached, with or without guidance: of those that ran so, else of all. Unknown where none
/// has one. Where they ran on another machine than `target`, that is an assumption among its inputs.
Number sampled_utilisation(const std::vector<SampledRun>& runs, bool guided, const model::Hardware& target);

}  // namespace gpumonth::budget
