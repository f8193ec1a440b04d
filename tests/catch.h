// Catch2 v2 (Debian 12) and v3 (Ubuntu 24.04) behind one include. Use Approx and contains() from here: the
// names differ between the two.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif

#include <string>

namespace gpumonth::tests {

/// Runs the test cases as the command line says; the exit status. For a test with a main of its own (MPI_Init).
int run_catch(int argc, char** argv);

/// For REQUIRE_THAT(text, contains("...")).
inline auto contains(const std::string& part) {
#if __has_include(<catch2/catch_all.hpp>)
  return Catch::Matchers::ContainsSubstring(part);
#else
  return Catch::Matchers::Contains(part);
#endif
}

}  // namespace gpumonth::tests
