// What `gpumonth doctor` finds out: this machine, its libraries, and whether the ranks agree.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "comm/check_collective.h"
#include "comm/launch.h"
#include "comm/transport.h"
#include "machine/cuda_devices.h"
#include "machine/gpu_libraries.h"
#include "machine/gpu_topology.h"
#include "machine/machine.h"
#include "machine/power_under_load.h"
#include "trainer/gemm_peak.h"

namespace gpumonth::trainer {

struct Diagnosis {
  machine::Machine machine;  ///< rank 0's
  comm::Launch launch;
  int ranks = 1, ranks_on_host = 1, threads = 1;  ///< threads per rank
  std::string transport, transport_description;
  comm::MpiVersion mpi;
  std::string hdf5, onednn, onednn_isa;  ///< versions; the instruction set that oneDNN uses
  std::vector<std::string> network;      ///< cards of rank 0's host
  machine::CudaDevices cuda;
  machine::GpuTopology topology;                   ///< where there are GPUs, as is the next
  std::vector<machine::GpuLibrary> gpu_libraries;  ///< as they are loaded at run time
  std::vector<std::string> hosts;                  ///< by rank
  bool measured = false;                           ///< what follows; all ranks at the same time, `threads` threads each
  GemmPeak gemm_fp32, gemm_bf16;                   ///< of rank 0
  double copy_bytes_per_s = 0;                     ///< of rank 0: read + written
  GemmPeak gpu_gemm_fp32, gpu_gemm_bf16;           ///< of rank 0's GPU, as is the next; shape empty, NaN: not measured
  machine::PowerUnderLoad gpu_power;               ///< while gpu_gemm_bf16 was measured
  double gpu_copy_bytes_per_s = std::numeric_limits<double>::quiet_NaN();  ///< within its memory: read + written
  std::vector<std::string> gpu_mlp;                                        ///< gpu_mlp_choices(), of rank 0's GPU
  std::vector<comm::CollectiveResult> all_reduce;                          ///< empty for one rank
  std::string nccl_description;                                            ///< empty: not tried
  std::vector<comm::CollectiveResult> nccl_all_reduce;
  std::vector<std::string> problems;  ///< what to mend, one line each; empty: all is well
};

/// Collective; the result is complete on rank 0. threads 0: the cores of this host / the ranks on it.
Diagnosis diagnose(comm::Transport& transport, int threads, bool measure);

/// Collective over `gpus`, transport "nccl": the same all-reduces in GPU memory.
void diagnose_nccl(comm::Transport& gpus, bool measure, Diagnosis& found);

}  // namespace gpumonth::trainer
