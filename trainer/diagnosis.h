// What `gpumonth doctor` finds out: this machine, its libraries, and whether the ranks agree.
#pragma once

#include <string>
#include <vector>

#include "comm/all_reduce_check.h"
#include "comm/communicator.h"
#include "comm/cuda_devices.h"
#include "comm/launch.h"
#include "trainer/gemm_peak.h"
#include "trainer/machine.h"

namespace gpumonth::trainer {

struct Diagnosis {
  Machine machine;  ///< rank 0's
  comm::Launch launch;
  int ranks = 1, ranks_on_host = 1, threads = 1;  ///< threads per rank
  std::string transport, transport_description;
  comm::MpiVersion mpi;
  std::string hdf5, onednn, onednn_isa;  ///< versions; the instruction set that oneDNN uses
  comm::CudaDevices cuda;
  std::vector<std::string> hosts;  ///< by rank
  bool measured = false;           ///< what follows; all ranks at the same time, `threads` threads each
  GemmPeak gemm_fp32, gemm_bf16;   ///< of rank 0
  double copy_bytes_per_s = 0;     ///< of rank 0: read + written
  std::vector<comm::AllReduceResult> all_reduce;  ///< empty for one rank
  std::vector<std::string> problems;              ///< what to mend, one line each; empty: all is well
};

/// Collective; the result is complete on rank 0. threads 0: the cores of this host / the ranks on it.
Diagnosis diagnose(comm::Communicator& communicator, int threads, bool measure);

}  // namespace gpumonth::trainer
