// How long the kernel lets this process's threads run before others have their turn.
#pragma once

#include <chrono>

namespace gpumonth::machine {

/// Asks Linux for short turns for the calling thread, and so for every thread that it starts from now on. Their share of a
/// core stays what it was; but a rank that waits for another one is back on its core soon after that one is there, where it
/// waited for the end of another program's turn (up to 3 ms). Two ranks beside two busy programs on two cores took 2.5 times
/// their quiet step, and 2.2 times with this (tests/bench/shared_machine.sh). Alone on its cores a thread notices nothing of
/// it. Nice value and policy stay.
///
/// Linux takes such wishes from ordinary threads since 6.12 (sched_attr::sched_runtime, sched_setattr(2)); older kernels
/// leave everything as it is, and threads of a real-time or idle policy are left alone. Returns the turn that the kernel
/// then holds for the thread; 0 where it does not say, or did not take the wish.
std::chrono::nanoseconds ask_for_short_turns();

}  // namespace gpumonth::machine
