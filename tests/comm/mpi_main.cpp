// The main of a test that runs as several ranks: every rank runs every test case, and the job fails where one
// rank does.
#include "comm/launch.h"
#include "tests/catch.h"
#include "tests/comm/ranks.h"

namespace {
gpumonth::comm::Communicator* the_ranks = nullptr;
}

gpumonth::comm::Communicator& gpumonth::tests::ranks() { return *the_ranks; }

int main(int argc, char** argv) {
  gpumonth::comm::Environment environment;
  // "mpi" also with one rank: the code under test is the MPI communicator
  const auto ranks = environment.make_communicator({.transport = "mpi", .watchdog_s = 60});
  the_ranks = ranks.get();
  const int failed = gpumonth::tests::run_catch(argc, argv);
  if (failed) ranks->abort("test cases failed on this rank", 1);  // the others may wait for it for ever
  return 0;
}
