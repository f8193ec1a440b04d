#include <algorithm>
#include <fstream>
#include <string>

#include "machine/machine.h"
#include "trainer/replay/replayed_step_impl.h"

namespace gpumonth::trainer {
namespace {

/// Ranks of one kernel, which tells hosts that are containers of one machine, share its cores.
bool has_own_core(comm::Communicator& ranks) {
  std::string kernel;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> kernel;
  const std::vector<std::string> all = ranks.all_gather(kernel);
  const machine::Machine machine = machine::this_machine();
  const double cores = machine.cgroup_cores > 0 ? machine.cgroup_cores : machine.cores_of_host;
  return static_cast<double>(std::count(all.begin(), all.end(), kernel)) <= cores;
}

Alarm::Wait waiting(ComputeStandIn compute, comm::Communicator& ranks) {
  if (compute == ComputeStandIn::busy) return Alarm::Wait::busy;
  return has_own_core(ranks) ? Alarm::Wait::sleep_spin : Alarm::Wait::sleep;
}

class CpuReplayedStep final : public DeviceReplayedStep<ops::Cpu> {
 public:
  using DeviceReplayedStep::DeviceReplayedStep;
  void* stream() override { return nullptr; }
};

}  // namespace

std::unique_ptr<ReplayedStep> make_cpu_replayed_step(const ReplaySetup& setup, comm::Transport& transport) {
  return std::make_unique<CpuReplayedStep>(ops::Cpu{}, setup, transport, waiting(setup.compute, transport.ranks()));
}

}  // namespace gpumonth::trainer
