#include "trainer/signals.h"

#include <fmt/format.h>

#include <csignal>

namespace gpumonth::trainer {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

void on_signal(int signal) {
  if (signal == SIGINT && stop_requested) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  stop_requested = signal;
}

}  // namespace

void watch_stop_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) sigaction(signal, &action, nullptr);
}

int stop_signal() { return stop_requested; }

std::string signal_name(int signal) {
  switch (signal) {
    case SIGTERM: return "SIGTERM";
    case SIGUSR1: return "SIGUSR1";
    case SIGINT: return "SIGINT";
    default: return fmt::format("signal {}", signal);
  }
}

}  // namespace gpumonth::trainer
