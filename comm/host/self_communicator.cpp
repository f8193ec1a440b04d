#include "comm/host/self_communicator.h"

#include <algorithm>

#include "comm/abort.h"

namespace gpumonth::comm {

void SelfCommunicator::all_to_all(std::span<const float> sent, std::span<float> received) {
  std::copy(sent.begin(), sent.end(), received.begin());
}

void SelfCommunicator::abort(const std::string& message, int exit_code) { abort_job(message, exit_code); }

}  // namespace gpumonth::comm
