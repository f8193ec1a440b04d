// A build without SimGrid says what to install.
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

TEST_CASE("simulate without SimGrid") {
  const auto result = tests::run_command(GPUMONTH_BINARY " simulate run.h5 --cluster c.toml --ranks 8");
  CHECK(result.exit_code == 2);
  CHECK_THAT(result.err, contains("libsimgrid-dev"));
  CHECK_THAT(result.err, contains("GPUMONTH_SIMGRID=ON"));
  CHECK(tests::run_command(GPUMONTH_BINARY " simulate --help").exit_code == 0);
}
