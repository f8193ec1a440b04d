// How this process was started, and the ranks that follow from it.
//
//   int main() {
//     try { comm::Environment environment; auto transport = environment.make_transport({.watchdog_s = 60});
//     ... } catch (const UserError& error) { comm::fail(error.what(), 2); }
//   }
//
// Never a silent single-rank run: where a launcher says that there are n processes, the sum of ones over the
// communicator must be n.
#pragma once

#include <memory>
#include <string>

#include "comm/transport.h"

namespace gpumonth::comm {

/// What the environment variables of the launcher say; nothing is initialised to find out.
struct Launch {
  std::string launcher;  ///< "mpirun (Open MPI)", "srun", ...; empty: started by hand
  int size = 1;
  int rank = 0;
  int local_rank = -1;  ///< -1: the launcher does not say
  int local_size = -1;
};
Launch detect_launch();

/// What is wrong where this process would train alone in a Slurm job that asked for several tasks or nodes, started
/// without srun or mpirun (sbatch --ntasks=8, and the script calls gpumonth): one line; else empty. A launcher that
/// starts fewer ranks than the job has tasks is meant.
std::string idle_slurm_tasks(const Launch& launch);

struct CommOptions {
  std::string transport = "auto";  ///< one of transport_names()
  double watchdog_s = 300;         ///< longest time a collective may take; 0: no limit
  bool allow_shared_gpu = false;   ///< "nccl": two ranks may use one GPU, for tests
};

/// Initialises MPI where it is needed, and finalises it, unless an exception is passing through: then the
/// other ranks are not there to finalise with, and main calls fail(). Asks for short turns of the cores
/// (machine/time_slice.h) before there are other threads: a rank waits for ranks.
class Environment {
 public:
  Environment();
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  /// Collective. One process without a launcher gets `self` and MPI is not touched. Throws UserError: unknown
  /// transport, transport not built, ranks that do not find each other, idle_slurm_tasks() unless the transport
  /// is "self"; with "nccl" also what check_gpus() (gpu_assignment.h) refuses. "auto" is never "nccl": whoever runs the
  /// model on GPUs asks for that.
  std::unique_ptr<Transport> make_transport(const CommOptions& options = {});

 private:
  int exceptions_ = 0;
};

/// Ends every rank with one line `gpumonth: message` on stderr and this exit code: rank 0's line where it
/// fails too, else that of a rank that failed. Works before, without and after MPI. Never hangs, never returns.
[[noreturn]] void fail(const std::string& message, int exit_code);

/// "Open MPI 4.1.4", and whether MPI runs, for doctor and the run log.
struct MpiVersion {
  std::string library;       ///< name and version
  std::string thread_level;  ///< provided level: "multiple"; "not initialised" with transport self
};
MpiVersion mpi_version();

}  // namespace gpumonth::comm
