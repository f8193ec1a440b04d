#include "trainer/signals.h"

#include <string.h>  // sigabbrev_np

namespace gpumonth::trainer {
namespace {

volatile std::sig_atomic_t stop_requested = 0, interrupted = 0;

void on_signal(int signal) {
  if (signal == SIGINT && interrupted) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  if (signal == SIGINT) interrupted = 1;
  if (!stop_requested) stop_requested = signal;
}

bool is_ignored(int signal) {
  struct sigaction present = {};
  sigaction(signal, nullptr, &present);
  return present.sa_handler == SIG_IGN;
}

}  // namespace

void watch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : kStopSignals) {
    if (signal == SIGHUP && is_ignored(signal)) continue;
    sigaction(signal, &action, nullptr);
  }
}

int stop_signal() { return stop_requested; }

std::string signal_name(int signal) { return std::string("SIG") + sigabbrev_np(signal); }

}  // namespace gpumonth::trainer
