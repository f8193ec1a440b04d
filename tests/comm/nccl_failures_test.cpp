// NCCL ranks that go missing, cannot connect or may not start: the job ends on all of them within 60 s and
// says why. And what `gpumonth comm` and `doctor` say on a machine with a GPU.
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "runlog/reader.h"
#include "tests/catch.h"
#include "tests/command.h"

using gpumonth::tests::CommandResult;
using gpumonth::tests::contains;
using gpumonth::tests::mpirun;
using gpumonth::tests::run_command;
using gpumonth::tests::TemporaryFolder;
using nlohmann::json;

namespace {

double now_s() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Starts endless steps, sends a signal to a rank after its first one, and waits for the end.
CommandResult run_and_signal(const char* signal_name, int victim) {
  return run_command(fmt::format(
      R"(out=$(mktemp); timeout -k 5 100 {} >$out & job=$!
         for i in $(seq 600); do [ $(grep -c ^pid $out) = 2 ] && break; sleep 0.1; done; sleep 1
         kill -{} $(awk '$1 == "pid" && $2 == {} {{ print $3 }}' $out); killed=$(date +%s)
         wait $job; code=$?; echo "ended after $(($(date +%s) - killed)) s"; cat $out; rm $out; exit $code)",
      mpirun(2, std::string(VICTIM) + " reduce 90"), signal_name, victim));
}

int seconds_to_end(const CommandResult& result) {
  const std::string before = "ended after ";
  return std::atoi(result.out.c_str() + result.out.find(before) + before.size());
}

}  // namespace

TEST_CASE("a job that nothing happens to ends well") {
  const CommandResult result = run_command(mpirun(2, std::string(VICTIM) + " reduce 2"));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
}

TEST_CASE("a killed rank ends the job within 60 s") {
  for (const int victim : {0, 1}) {
    const CommandResult result = run_and_signal("KILL", victim);
    INFO(result.out << result.err);
    REQUIRE(result.exit_code != 0);
    REQUIRE(result.exit_code != 124);
    REQUIRE(seconds_to_end(result) < 60);
    REQUIRE(!result.err.empty());
  }
}

TEST_CASE("a stopped rank ends the job, and the message names it") {
  const CommandResult result = run_and_signal("STOP", 1);
  INFO(result.out << result.err);
  REQUIRE(result.exit_code != 0);
  REQUIRE(result.exit_code != 124);
  REQUIRE(seconds_to_end(result) < 60);
  REQUIRE_THAT(result.err, contains("no answer from rank 1 ("));
}

TEST_CASE("the watchdog says in which step the job hangs, and where the missing rank is") {
  const double start = now_s();
  const CommandResult result = run_command(mpirun(2, std::string(VICTIM) + " absent 1"));
  INFO(result.err);
  REQUIRE(result.exit_code != 0);
  REQUIRE(now_s() - start < 90);  // with the start of CUDA and NCCL
  REQUIRE_THAT(result.err, contains("training step (NCCL) in step 17 not done after 5 s"));
  REQUIRE_THAT(result.err, contains("is still in 'checkpoint' of step 17"));
  REQUIRE_THAT(result.err, contains("NCCL reports: "));
}

TEST_CASE("ranks that cannot connect end with NCCL's text") {
  const double start = now_s();
  const CommandResult result =
      run_command("NCCL_SOCKET_IFNAME==nosuchcard0 " + mpirun(2, std::string(VICTIM) + " reduce 1"));
  INFO(result.err);
  REQUIRE(result.exit_code == 1);
  REQUIRE(now_s() - start < 60);
  REQUIRE_THAT(result.err, contains("nccl"));
  REQUIRE_THAT(result.err, contains("NCCL_SOCKET_IFNAME"));
}

TEST_CASE("two ranks on one GPU are refused unless that is meant") {
  const std::string one_gpu = "CUDA_VISIBLE_DEVICES=0 ";
  const std::string comm = std::string(GPUMONTH_BINARY) + " comm --transport nccl --max-bytes 1M --factor 16 --json";
  const CommandResult refused = run_command(one_gpu + mpirun(2, comm));
  INFO(refused.err);
  REQUIRE(refused.exit_code == 2);
  REQUIRE_THAT(refused.err, contains("use the same GPU (GPU-"));
  REQUIRE_THAT(refused.err, contains("comm.allow_shared_gpu = true"));
  const CommandResult allowed = run_command(one_gpu + mpirun(2, comm + " --allow-shared-gpu"));
  INFO(allowed.err);
  REQUIRE(allowed.exit_code == 0);
  const json found = json::parse(allowed.out);
  REQUIRE(found["transport"] == "nccl");
  REQUIRE(found["clock"] == "CUDA events");
  for (const json& row : found["results"]) {
    REQUIRE(row["correct"] == true);
    REQUIRE(row["busbw_bytes_per_s"] > 0);
  }
}

TEST_CASE("every collective is exact over NCCL") {
  for (const std::string op : {"all_reduce", "reduce_scatter", "all_gather", "all_to_all"}) {
    const CommandResult result =
        run_command(mpirun(2, std::string(GPUMONTH_BINARY) + " comm --transport nccl --allow-shared-gpu --op " + op +
                                  " --max-bytes 4M --factor 32 --iterations 5 --json"));
    INFO(op << "\n" << result.err);
    REQUIRE(result.exit_code == 0);
    const json found = json::parse(result.out);
    REQUIRE(found["operation"] == op);
    REQUIRE(found["clock"] == "CUDA events");
    REQUIRE(found["results"].size() >= 3);
    for (const json& row : found["results"]) REQUIRE(row["correct"] == true);
  }
}

TEST_CASE("one rank with a GPU needs no other") {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "comm.h5").string();
  const CommandResult result =
      run_command(std::string(GPUMONTH_BINARY) + " comm --transport nccl --max-bytes 64K --log " + file);
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  REQUIRE_THAT(result.out, contains("one rank has nothing to reduce"));
  const gpumonth::runlog::Run run = gpumonth::runlog::read(file);
  REQUIRE(run.info.backend == "cuda");
  REQUIRE_THAT(run.info.device_name, contains("NVIDIA"));
  REQUIRE_THAT(run.comm.measured, contains("CUDA events"));
}

TEST_CASE("doctor knows the GPUs and the libraries", "[hardware]") {
  const CommandResult result = run_command(std::string(GPUMONTH_BINARY) + " doctor --quick --json");
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  const json found = json::parse(result.out);
  INFO(found.dump(2));
  REQUIRE(found["machine"]["gpus"].size() >= 1);
  const json& gpu = found["machine"]["gpus"][0];
  CHECK_THAT(gpu["uuid"].get<std::string>(), contains("GPU-"));
  CHECK(gpu["memory_bytes"] > 1'000'000'000);
  CHECK(gpu["multiprocessors"] > 0);
  for (const char* library : {"NCCL", "cuBLASLt", "cuda_runtime", "driver"})
    CHECK(found["libraries"].contains(library));
}
