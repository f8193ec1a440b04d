// `gpumonth doctor` as a user runs it: alone and under mpirun.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/catch.h"
#include "tests/command.h"

using gpumonth::tests::CommandResult;
using gpumonth::tests::contains;
using gpumonth::tests::mpirun;
using gpumonth::tests::run_command;
using nlohmann::json;

TEST_CASE("doctor alone is one rank and needs no MPI") {
  const CommandResult result = run_command(GPUMONTH_BINARY " doctor --quick --json");
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const json found = json::parse(result.out);
  REQUIRE(found["ranks"] == 1);
  REQUIRE(found["transport"] == "self");
  REQUIRE(found["libraries"]["mpi_thread_level"] == "not initialised");
  REQUIRE(found["machine"]["cores"] >= 1);
  REQUIRE(found["machine"]["memory_bytes"] > 100'000'000);
  REQUIRE(!found["libraries"]["hdf5"].get<std::string>().empty());
}

TEST_CASE("doctor under mpirun measures all ranks at once") {
  const CommandResult result = run_command(mpirun(2, GPUMONTH_BINARY " doctor --threads 1 --json"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const json found = json::parse(result.out);  // rank 0 alone prints
  REQUIRE(found["ranks"] == 2);
  REQUIRE(found["hosts"].size() == 2);
  REQUIRE(found["launcher_size"] == 2);
  REQUIRE(found["transport"] == "mpi");
  const json& measured = found["measured"];
  REQUIRE(measured["gemm_fp32_flops_per_s"] > 1e8);
  REQUIRE(measured["gemm_bf16_flops_per_s"] > 1e7);
  REQUIRE(measured["copy_bytes_per_s"] > 1e7);
  REQUIRE(measured["all_reduce"].size() == 5);
  for (const json& row : measured["all_reduce"]) {
    REQUIRE(row["correct"] == true);
    REQUIRE(row["bus_bytes_per_s"] > 0);
  }
}

TEST_CASE("doctor says in exactly one line why there is no GPU") {
  const CommandResult result = run_command("CUDA_VISIBLE_DEVICES= " GPUMONTH_BINARY " doctor --quick");
  INFO(result.out);
  REQUIRE(result.exit_code == 0);
  std::istringstream lines(result.out);
  int about_gpus = 0;
  for (std::string line; std::getline(lines, line);) {
    for (const char* start : {"GPU", "CUDA", "NCCL", "cuBLAS", "cuDNN"}) about_gpus += line.starts_with(start) ? 1 : 0;
    if (line.starts_with("GPU")) REQUIRE(line.size() > 20);
  }
  REQUIRE(about_gpus == 1);
  REQUIRE_THAT(result.out, contains("network"));
}

TEST_CASE("doctor says what is wrong with the ranks") {
  const CommandResult result = run_command(GPUMONTH_BINARY " doctor --quick --threads 100000");
  REQUIRE(result.exit_code == 0);
  REQUIRE_THAT(result.out, contains("problem: rank 0: 100000 threads on "));
}

TEST_CASE("doctor refuses ranks that MPI does not join") {
  const CommandResult result = run_command("env PMI_SIZE=4 PMI_RANK=0 " GPUMONTH_BINARY " doctor --quick");
  REQUIRE(result.exit_code == 2);
  REQUIRE_THAT(result.err, contains("gpumonth: mpiexec (PMI) started 4 processes, but MPI joins 1 of them"));
}
