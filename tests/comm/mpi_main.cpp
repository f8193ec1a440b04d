// The main of a test that runs as several ranks: every rank runs every test case, and the job fails where one
// rank does.
#include "comm/launch.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

namespace {
gpumonth::comm::Transport* the_transport = nullptr;
}

gpumonth::comm::Transport& gpumonth::tests::transport() { return *the_transport; }

int main(int argc, char** argv) {
  gpumonth::comm::Environment environment;
  // "mpi" also with one rank: the code under test is the MPI communicator
  const auto transport = environment.make_transport({.transport = "mpi", .watchdog_s = 60});
  the_transport = transport.get();
  const int failed = gpumonth::tests::run_catch(argc, argv);
  if (failed) transport->ranks().abort("test cases failed on this rank", 1);  // the others may wait for it for ever
  return 0;
}
