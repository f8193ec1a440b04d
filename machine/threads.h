// How many threads OpenMP really gives.
#pragma once

namespace gpumonth::machine {

/// As many of `wanted` threads as OpenMP gives a parallel region here: fewer with OMP_THREAD_LIMIT, or inside of another
/// region. Ends OMP_DYNAMIC, by which that would change from region to region.
int available_threads(int wanted);

/// Throws UserError where OpenMP gives fewer. oneDNN leaves out the part of a product that was planned for a thread which
/// is not there, in silence.
void require_threads(int wanted);

}  // namespace gpumonth::machine
