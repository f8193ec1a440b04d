// What a simulation says, as an ordinary run log with origin = "simulated", and in one line of a table.
#pragma once

#include <string>

#include "runlog/record.h"
#include "simulate/job.h"

namespace gpumonth::simulate {

struct SimulatedRun {
  runlog::Run run;
  int hosts = 1;
  double step_s = 0, exposed_s = 0, comm_s = 0;  ///< means over the steps
  double exchange_s = 0;  ///< likewise, in all-to-alls of ranks that share samples: not in the two before
  double samples_per_s = 0;
  double efficiency = 0;        ///< throughput over that of as many ranks that wait for nobody
  double wall_s = 0;            ///< that the simulation took
  std::int64_t peak_bytes = 0;  ///< memory that it took
};

/// Simulates the plan on so many ranks. `cluster_words`: how the cluster was described, for source_changes.
SimulatedRun simulate_run(const Plan& plan, const Cluster& cluster, const std::string& cluster_words, int ranks);

}  // namespace gpumonth::simulate
