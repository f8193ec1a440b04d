// A signal asks a run to stop after the present step: checkpoint, close the log, exit 3.
//
// SIGTERM, SIGUSR1, SIGUSR2 and SIGXCPU come from batch systems (Slurm's --signal, SGE's -notify, LSF), SIGINT from
// Ctrl-C, SIGHUP from a terminal that is gone. Sent again they change nothing, as a scheduler signals a launcher and
// its ranks alike; but a second SIGINT ends the process at once. A SIGHUP that is ignored (nohup) stays ignored.
#pragma once

#include <array>
#include <csignal>
#include <string>

namespace gpumonth::trainer {

inline constexpr std::array kStopSignals = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP, SIGXCPU};

void watch_stop_signals();
/// The first signal that asked to stop, 0 where none did.
int stop_signal();
std::string signal_name(int signal);

}  // namespace gpumonth::trainer
