// Ends the whole job from any thread and in any state of MPI.
#pragma once

#include <functional>
#include <string>

namespace gpumonth::comm {

/// Prints `line` on stderr in one write, calls MPI_Abort, and ends this process after 3 s where MPI_Abort
/// does not (the link to the launcher may be what is down). `release` is called after the line was printed,
/// on a thread that is waited for for at most 2 s: for libraries to let go of what they hold.
[[noreturn]] void abort_job(const std::string& line, int exit_code, const std::function<void()>& release = {});

/// "[rank 3/8 node07] ", or "" without MPI.
std::string rank_prefix();

}  // namespace gpumonth::comm
