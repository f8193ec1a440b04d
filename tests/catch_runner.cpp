// Catch2 v2 has no library: its implementation is compiled here, once for all tests.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

namespace gpumonth::tests {

int run_catch(int argc, char** argv) { return Catch::Session().run(argc, argv); }

}  // namespace gpumonth::tests
