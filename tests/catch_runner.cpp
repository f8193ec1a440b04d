// Catch2 v2 has no library: its implementation is compiled here, once for all tests.
#define CATCH_CONFIG_RUNNER
#include "tests/catch.h"

namespace gpumonth::tests {

int run_catch(int argc, char** argv) {
  Catch::Session session;
#if CATCH_VERSION_MAJOR < 3  // a filter that no test matches is no success; v3 thinks so by itself
  session.configData().warnings = Catch::WarnAbout::NoTests;
#endif
  return session.run(argc, argv);
}

}  // namespace gpumonth::tests
