// How the threads of a rank wait for each other at the end of a parallel loop.
//
// libgomp's threads spin 300,000 times before they sleep, some milliseconds and up to 20: on a core that another
// program wants too, a spinning thread keeps the thread it waits for from running, and a step takes four times as long
// instead of twice. A spin as long as a sleep and a wake-up cost loses at most that much where the wait is longer and
// nothing where it is shorter, so threads spin that long and then sleep.
//
// libgomp, which oneDNN uses as well, reads its settings once, before main: so the program starts itself again with
// GOMP_SPINCOUNT set, in the same process, with the same descriptors; it costs 10 ms.
#pragma once

namespace gpumonth::trainer {

constexpr double kSpin_s = 50e-6;

/// For the beginning of main, for a command that computes. Returns, changing nothing, where the user has decided
/// (OMP_WAIT_POLICY or GOMP_SPINCOUNT is set, to whatever), where a debugger or valgrind follows this process, and where
/// the program cannot be started again. Otherwise does not return: main begins anew, in the same process.
void choose_wait_policy(char** argv);

/// How many of libgomp's looks at a word, with the processor's pause between them, take this long.
long spin_count(double seconds);

}  // namespace gpumonth::trainer
