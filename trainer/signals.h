// SIGTERM, SIGUSR1 and SIGINT ask a run to stop after the present step: checkpoint, close the log, exit 0. A second
// SIGINT ends the process at once.
#pragma once

#include <string>

namespace gpumonth::trainer {

void watch_stop_signals();
/// The signal that asked to stop, 0 where none did.
int stop_signal();
std::string signal_name(int signal);

}  // namespace gpumonth::trainer
