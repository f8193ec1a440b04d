#include "comm/transport.h"

#include "comm/watchdog.h"

namespace gpumonth::comm {

Transport::Transport(std::string name, std::unique_ptr<Communicator> ranks)
    : name_(std::move(name)), ranks_(std::move(ranks)) {}

Transport::~Transport() = default;

void Transport::set_watchdog(std::shared_ptr<Watchdog> watchdog) { watchdog_ = std::move(watchdog); }

void Transport::set_context(const char* phase, std::int64_t step) {
  if (watchdog_) watchdog_->set_context(phase, step);
}

}  // namespace gpumonth::comm
