#include "comm/launch.h"

#include <cstdlib>
#include <map>
#include <string>

#include "base/error.h"
#include "comm/nccl/nccl_transport.h"
#include "machine/cuda_devices.h"
#include "tests/catch.h"

using namespace gpumonth;

namespace {

/// Sets launcher variables for one scope; all others of launchers are gone in it.
class Variables {
 public:
  explicit Variables(const std::map<std::string, std::string>& values) {
    for (const char* name : kAll) unsetenv(name);
    for (const auto& [name, value] : values) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const char* name : kAll) unsetenv(name);
  }

 private:
  static constexpr const char* kAll[] = {"OMPI_COMM_WORLD_SIZE",
                                         "OMPI_COMM_WORLD_RANK",
                                         "OMPI_COMM_WORLD_LOCAL_RANK",
                                         "OMPI_COMM_WORLD_LOCAL_SIZE",
                                         "PMI_SIZE",
                                         "PMI_RANK",
                                         "PMI_FD",
                                         "PMIX_RANK",
                                         "PMIX_NAMESPACE",
                                         "SLURM_NTASKS",
                                         "SLURM_NPROCS",
                                         "SLURM_NTASKS_PER_NODE",
                                         "SLURM_JOB_NUM_NODES",
                                         "SLURM_NNODES",
                                         "SLURM_PROCID",
                                         "SLURM_STEP_ID",
                                         "SLURM_STEP_NUM_TASKS",
                                         "SLURM_LOCALID",
                                         "SLURM_JOB_ID"};
};

std::string error_of(const comm::CommOptions& options) {
  comm::Environment environment;
  try {
    environment.make_transport(options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("a program started by hand is one rank") {
  const Variables none({});
  REQUIRE(comm::detect_launch().size == 1);
  REQUIRE(comm::detect_launch().launcher.empty());
  comm::Environment environment;
  REQUIRE(environment.make_transport()->name() == "self");
  REQUIRE(comm::mpi_version().thread_level == "not initialised");
}

TEST_CASE("Open MPI's mpirun says size and rank") {
  const Variables set({{"OMPI_COMM_WORLD_SIZE", "8"},
                       {"OMPI_COMM_WORLD_RANK", "3"},
                       {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                       {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                       {"SLURM_STEP_ID", "0"},
                       {"SLURM_PROCID", "0"},
                       {"SLURM_STEP_NUM_TASKS", "4"}});
  const comm::Launch launch = comm::detect_launch();  // mpirun starts its daemons by srun: those are not the ranks
  REQUIRE(launch.size == 8);
  REQUIRE(launch.rank == 3);
  REQUIRE(launch.local_rank == 1);
  REQUIRE(launch.local_size == 2);
}

TEST_CASE("a step of srun says size and rank") {
  const Variables set(
      {{"SLURM_STEP_ID", "3"}, {"SLURM_PROCID", "5"}, {"SLURM_STEP_NUM_TASKS", "16"}, {"SLURM_NTASKS", "16"}});
  REQUIRE(comm::detect_launch().launcher == "srun");
  REQUIRE(comm::detect_launch().size == 16);
  REQUIRE(comm::detect_launch().rank == 5);
  REQUIRE_THAT(error_of({}), tests::contains("srun --mpi=pmix"));  // no PMI variables
}

TEST_CASE("the batch script and an interactive shell of Slurm are no step") {
  for (const char* step : {"", "4294967291", "4294967290"}) {
    const Variables set({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_ID", step}});
    REQUIRE(comm::detect_launch().size == 1);
    REQUIRE_FALSE(comm::idle_slurm_tasks(comm::detect_launch()).empty());
  }
}

TEST_CASE("a PMI launcher says size and rank") {
  const Variables set({{"PMI_SIZE", "4"}, {"PMI_RANK", "2"}});
  REQUIRE(comm::detect_launch().size == 4);
  REQUIRE(comm::detect_launch().rank == 2);
}

TEST_CASE("transports that cannot be are refused") {
  const Variables none({});
  if (machine::cuda_devices().devices.empty()) {  // no NCCL, or no GPU
    const std::string error = error_of({.transport = "nccl"});
    REQUIRE_THAT(error, tests::contains("comm.transport = \"nccl\": "));
    REQUIRE_THAT(error, tests::contains(comm::nccl_is_built() ? "no GPU used" : "without NCCL"));
  }
  REQUIRE_THAT(error_of({.transport = "gloo"}), tests::contains("auto, self, mpi, nccl"));
  const Variables four({{"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_RANK", "0"}});
  REQUIRE_THAT(error_of({.transport = "self"}), tests::contains("started 4 processes"));
}

TEST_CASE("one process alone in a Slurm job of several tasks is refused unless it is meant") {
  using Job = std::map<std::string, std::string>;
  for (const Job& job :
       {Job{{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}}, Job{{"SLURM_JOB_ID", "7"}, {"SLURM_NPROCS", "8"}},
        Job{{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS_PER_NODE", "4"}, {"SLURM_JOB_NUM_NODES", "2"}}}) {
    const Variables set(job);
    REQUIRE_THAT(error_of({}), tests::contains("8 tasks") && tests::contains("srun --mpi=pmix"));
    REQUIRE_THAT(error_of({.transport = "mpi"}), tests::contains("comm.transport = \"self\""));
    REQUIRE(error_of({.transport = "self"}).empty());
  }
  const Variables nodes(Job{{"SLURM_JOB_ID", "7"}, {"SLURM_JOB_NUM_NODES", "2"}});
  REQUIRE_THAT(error_of({}), tests::contains("2 tasks on 2 nodes"));
}

TEST_CASE("a launcher inside a Slurm job may start fewer ranks than the job has tasks") {
  using Job = std::map<std::string, std::string>;
  const Job srun = {{"SLURM_JOB_ID", "7"},
                    {"SLURM_NTASKS", "8"},
                    {"SLURM_STEP_ID", "3"},
                    {"SLURM_PROCID", "0"},
                    {"SLURM_STEP_NUM_TASKS", "1"}};
  const Job mpirun = {
      {"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "8"}, {"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}};
  const Job one_task = {{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "1"}, {"SLURM_JOB_NUM_NODES", "1"}};
  const Job no_job = {{"SLURM_NTASKS", "8"}};  // left over in a shell
  for (const Job& job : {srun, mpirun, one_task, no_job}) {
    const Variables set(job);
    REQUIRE(comm::idle_slurm_tasks(comm::detect_launch()).empty());
    REQUIRE(error_of({}).empty());
  }
}
