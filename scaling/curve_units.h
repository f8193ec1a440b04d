// A curve as its table has it -> throughput of all ranks per second.
#pragma once

#include "scaling/curve.h"

namespace gpumonth::scaling {

/// Multiplies what is per rank by the ranks, turns steps into samples where every point has its batch,
/// minutes into seconds, and says so in the curve's notes. A unit that leads to no throughput stays:
/// check(curve) refuses it.
void to_total_throughput(ScalingCurve& curve);

/// Notes for a curve that has the right unit, or none, and looks wrong: a total that does not grow with the
/// ranks, ranks and throughput swapped.
void note_doubtful_axes(ScalingCurve& curve);

}  // namespace gpumonth::scaling
