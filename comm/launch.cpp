#include "comm/launch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>

#include "base/error.h"
#include "comm/abort.h"
#include "comm/mpi_check.h"
#include "comm/mpi_state.h"
#include "machine/time_slice.h"

namespace gpumonth::comm {
namespace {

std::optional<long long> variable(const char* name) {
  const char* text = std::getenv(name);
  if (!text || !*text) return std::nullopt;
  char* end = nullptr;
  const long long value = std::strtoll(text, &end, 10);
  return *end ? std::nullopt : std::optional(value);
}

int variable_or(const char* name, int otherwise) { return static_cast<int>(variable(name).value_or(otherwise)); }

/// A step of srun, not the batch script or the interactive shell of an allocation: those have SLURM_NTASKS
/// too, but no step or one with a reserved number (slurm.h: SLURM_BATCH_SCRIPT 0xfffffffb and its neighbours).
bool in_slurm_step() {
  const auto step = variable("SLURM_STEP_ID");
  return step && *step >= 0 && *step < 0xfffffff0LL && variable("SLURM_PROCID");
}

}  // namespace

Launch detect_launch() {
  if (const auto size = variable("OMPI_COMM_WORLD_SIZE")) {
    return {"mpirun (Open MPI)", static_cast<int>(*size), variable_or("OMPI_COMM_WORLD_RANK", 0),
            variable_or("OMPI_COMM_WORLD_LOCAL_RANK", -1), variable_or("OMPI_COMM_WORLD_LOCAL_SIZE", -1)};
  }
  if (in_slurm_step()) {
    return {"srun", variable_or("SLURM_STEP_NUM_TASKS", variable_or("SLURM_NTASKS", 1)), variable_or("SLURM_PROCID", 0),
            variable_or("SLURM_LOCALID", -1), -1};
  }
  if (const auto size = variable("PMI_SIZE")) {
    return {"mpiexec (PMI)", static_cast<int>(*size), variable_or("PMI_RANK", 0), variable_or("MPI_LOCALRANKID", -1),
            variable_or("MPI_LOCALNRANKS", -1)};
  }
  return {};
}

std::string idle_slurm_tasks(const Launch& launch) {
  if (!launch.launcher.empty() || !std::getenv("SLURM_JOB_ID")) return "";
  const long long nodes = variable("SLURM_JOB_NUM_NODES").value_or(variable("SLURM_NNODES").value_or(1));
  const long long by_node = variable("SLURM_NTASKS_PER_NODE").value_or(1) * nodes;
  const long long tasks = std::max(variable("SLURM_NTASKS").value_or(variable("SLURM_NPROCS").value_or(1)), by_node);
  if (tasks <= 1) return "";
  return fmt::format(
      "Slurm gave this job {} tasks on {} node{}, but this process was started without srun or mpirun and "
      "would be alone: start it with srun --mpi=pmix or mpirun",
      tasks, nodes, nodes == 1 ? "" : "s");
}

Environment::Environment() : exceptions_(std::uncaught_exceptions()) { machine::ask_for_short_turns(); }

Environment::~Environment() {
  if (std::uncaught_exceptions() == exceptions_ && mpi_is_running()) MPI_Finalize();
}

std::unique_ptr<Transport> Environment::make_transport(const CommOptions& options) {
  const Launch launch = detect_launch();
  const std::string name = options.transport != "auto" ? options.transport : launch.size == 1 ? "self" : "mpi";
  const auto kinds = transports();
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const TransportKind& k) { return k.name == name; });
  if (kind == kinds.end())
    user_error("comm.transport = \"{}\": must be one of {}", name, fmt::join(transport_names(), ", "));
  if (const std::string idle = idle_slurm_tasks(launch); options.transport != "self" && !idle.empty())
    user_error("{}; where one rank is meant, choose comm.transport = \"self\"", idle);
  return kind->make(launch, options);
}

void fail(const std::string& message, int exit_code) {
  const Launch launch = detect_launch();
  // Where all ranks fail alike, rank 0's abort ends the others before they print.
  if (launch.rank > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  abort_job("gpumonth: " + (launch.rank > 0 ? rank_prefix() : std::string()) + message, exit_code);
}

MpiVersion mpi_version() {
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  MPI_Get_library_version(library, &length);
  std::string text = library;
  text = text.substr(0, text.find_first_of(",\n"));  // "Open MPI v4.1.4, package: ..."
  if (const auto v = text.find(" v"); v != std::string::npos) text.erase(v + 1, 1);
  if (!mpi_is_running()) return {text, "not initialised"};
  int level = MPI_THREAD_SINGLE;
  MPI_Query_thread(&level);
  const char* name = level == MPI_THREAD_MULTIPLE     ? "multiple"
                     : level == MPI_THREAD_SERIALIZED ? "serialized"
                     : level == MPI_THREAD_FUNNELED   ? "funneled"
                                                      : "single";
  return {text, name};
}

}  // namespace gpumonth::comm
