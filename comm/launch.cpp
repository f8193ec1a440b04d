#include "comm/launch.h"

#include <fmt/format.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>

#include "base/error.h"
#include "comm/abort.h"
#include "comm/host/mpi_check.h"
#include "comm/host/mpi_communicator.h"
#include "comm/host/self_communicator.h"
#include "comm/nccl/nccl_transport.h"

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

bool has_pmi() {
  return std::getenv("PMIX_RANK") || std::getenv("PMIX_NAMESPACE") || std::getenv("PMI_FD") || std::getenv("PMI_RANK");
}

void initialize_mpi() {
  if (mpi_is_running()) return;
  // Cross-memory attach is forbidden in many containers and then fails in the middle of a message; gpumonth
  // moves what is big through memory of its own. Whoever sets these variables keeps them.
  setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
  setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
  int level = MPI_THREAD_SINGLE;
  GPUMONTH_MPI(MPI_Init_thread, nullptr, nullptr, MPI_THREAD_MULTIPLE, &level);
  if (level < MPI_THREAD_SERIALIZED) {
    user_error(
        "{} was built without threads, which gradient communication needs: use one with "
        "MPI_THREAD_MULTIPLE, such as Open MPI 4.1",
        mpi_version().library);
  }
}

void check_world(const Launch& launch) {
  int one = 1, sum = 0;
  GPUMONTH_MPI(MPI_Allreduce, &one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (launch.launcher.empty() || sum == launch.size) return;
  user_error(
      "{} started {} processes, but MPI joins {} of them: this program is built for {}; start it with that "
      "MPI's mpirun, or with srun --mpi=pmix",
      launch.launcher, launch.size, sum, mpi_version().library);
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

Environment::Environment() : exceptions_(std::uncaught_exceptions()) {}

Environment::~Environment() {
  if (std::uncaught_exceptions() == exceptions_ && mpi_is_running()) MPI_Finalize();
}

std::unique_ptr<Communicator> Environment::make_communicator(const CommOptions& options) {
  const Launch launch = detect_launch();
  const std::string& transport = options.transport;
  if (transport != "auto" && transport != "self" && transport != "mpi" && transport != "nccl") {
    user_error("comm.transport = \"{}\": must be one of auto, self, mpi, nccl", transport);
  }
  if (const std::string idle = idle_slurm_tasks(launch); transport != "self" && !idle.empty())
    user_error("{}; where one rank is meant, choose comm.transport = \"self\"", idle);
  if (transport == "self" && launch.size > 1) {
    user_error("comm.transport = \"self\", but {} started {} processes: start one, or use \"auto\"", launch.launcher,
               launch.size);
  }
  const NcclOptions nccl{.allow_shared_gpu = options.allow_shared_gpu, .watchdog_s = options.watchdog_s};
  if (transport == "nccl" && (launch.size == 1 || !nccl_is_built())) require_nccl();
  if (transport == "self" || (transport != "mpi" && launch.size == 1)) {
    auto self = std::make_unique<SelfCommunicator>();
    if (transport == "nccl") return make_nccl_communicator(std::move(self), nullptr, nccl);
    return self;
  }
  if (launch.launcher == "srun" && launch.size > 1 && !has_pmi()) {
    user_error("srun started {} tasks without PMI, so MPI cannot join them: use srun --mpi=pmix, or mpirun",
               launch.size);
  }
  initialize_mpi();
  check_world(launch);
  auto ranks = std::make_unique<MpiCommunicator>(options.watchdog_s);
  if (transport != "nccl") return ranks;
  auto watchdog = ranks->watchdog();
  return make_nccl_communicator(std::move(ranks), std::move(watchdog), nccl);
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
