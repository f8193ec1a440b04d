// The tracer as CUDA would load it, beside a CUPTI of our own: every kernel, copy and fill is a line of the CSV.
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;

namespace {

/// In a process of its own, since the file is written when it ends. The exit code.
int trace_to(const std::string& file, bool with_cupti) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("GPUTRACE_OUT", file.c_str(), 1);
    if (with_cupti && dlopen(FAKE_CUPTI, RTLD_NOW) == nullptr) _exit(4);
    void* tracer = dlopen(GPUTRACE, RTLD_NOW);
    if (tracer == nullptr) _exit(5);
    const auto initialize = reinterpret_cast<int (*)()>(dlsym(tracer, "InitializeInjection"));
    if (initialize == nullptr) _exit(6);
    std::exit(initialize() == 1 ? 0 : 7);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("what ran on the GPU is in the file, kernels of graphs too") {
  const tests::TemporaryFolder folder;
  const auto file = folder.path() / "trace.csv";
  REQUIRE(trace_to(file.string(), true) == 0);
  std::ifstream stream(file);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  CHECK(text ==
        "start_ns,end_ns,stream,graph,blocks,threads,registers,shared_bytes,name\n"
        "5000000000000,5000000001500,7,3,40,256,96,3072,\"_ZN8gpumonth3ops12adamw_kernelEv\"\n"
        "20,30,7,0,0,0,0,0,\"memcpy kind 1 4096 bytes\"\n"
        "40,44,9,0,0,0,0,0,\"memset\"\n");
}

TEST_CASE("without CUPTI, and where the file cannot be written, CUDA is told that nothing is traced") {
  const tests::TemporaryFolder folder;
  CHECK(trace_to((folder.path() / "no-such-folder/trace.csv").string(), true) == 7);
  if (dlopen("libcupti.so.13", RTLD_NOW) == nullptr) CHECK(trace_to((folder.path() / "t.csv").string(), false) == 7);
}
