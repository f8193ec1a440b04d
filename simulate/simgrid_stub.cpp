// Built where SimGrid was not found.
#include "base/error.h"
#include "simulate/simulation.h"

namespace gpumonth::simulate {

std::string simulator_name() { return ""; }

void require_simulator() {
  user_error(
      "this gpumonth was built without SimGrid, which simulate needs: install libsimgrid-dev (3.32 or newer), then "
      "configure with -DGPUMONTH_SIMGRID=ON and build again");
}

Outcome simulate(const Job&) {
  require_simulator();
  return {};
}

}  // namespace gpumonth::simulate
