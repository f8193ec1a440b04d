// What this machine is, as far as this process may use it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gpumonth::machine {

struct Machine {
  std::string host;
  std::string cpu;                ///< model name
  int cores = 1;                  ///< this process may run on: affinity, cut by the cgroup's CPU quota
  int cores_of_host = 1;          ///< online
  double cgroup_cores = 0;        ///< the cgroup's CPU quota; 0: none
  std::vector<std::string> isa;   ///< those that matter here: "avx2", "avx512f", "avx512_bf16", "amx_bf16", ...
  std::int64_t memory_bytes = 0;  ///< RAM, cut by the cgroup's limit
};

Machine this_machine();

/// Compute threads for each of `ranks_on_host` ranks. Ranks bound to disjoint cores see only theirs; unbound
/// ranks see all of the host's and share them. No more than OpenMP gives (machine/threads.h).
int default_threads(const Machine& machine, int ranks_on_host);

/// Bytes read plus bytes written per second by `threads` threads that copy arrays larger than the caches
/// (STREAM's copy: McCalpin 1995), best of a few repeats.
double measure_copy_bandwidth(int threads);

}  // namespace gpumonth::machine
