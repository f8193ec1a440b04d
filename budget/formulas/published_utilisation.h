// A published utilisation holds at the length of samples and with the recompute that it was reached with
// (utilisation.tokens, utilisation.recompute; left out: the scenario's own). Here it is brought to the scenario's, and
// held against what kernels allow (inputs/kernel_ceiling.h).
#pragma once

#include <string>
#include <vector>

#include "budget/inputs/number.h"
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

/// published_mfu as it is here: the same share of what kernels allow; where their rates are not known, corrected for
/// the recomputed FLOPs alone.
Number utilisation_here(const Scenario& scenario);

/// Throws UserError, with the ceiling, where published_mfu is above it. A recipe of a back-test (disclosed.gpu_hours)
/// and a class of trainings have the range of others, whatever their lengths: that is cut, with a note.
void bound_by_kernels(Scenario& scenario, std::vector<std::string>& notes);

}  // namespace gpumonth::budget
