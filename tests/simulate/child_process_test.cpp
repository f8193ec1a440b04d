#include "simulate/child_process.h"

#include <signal.h>
#include <unistd.h>

#include <stdexcept>

#include "tests/catch.h"

using gpumonth::simulate::run_in_child;
using gpumonth::tests::contains;

TEST_CASE("values come back, and nothing else changes") {
  int here = 1;
  const auto result = run_in_child([&] {
    here = 2;
    std::vector<double> many(300'000);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = 0.1 * static_cast<double>(i);
    return many;
  });
  REQUIRE(result.values.size() == 300'000);
  CHECK(result.values[299'999] == 0.1 * 299'999);
  CHECK(result.wall_s > 0);
  CHECK(result.peak_bytes > 300'000 * 8);
  CHECK(here == 1);
  CHECK(run_in_child([] { return std::vector<double>{}; }).values.empty());
}

TEST_CASE("an exception arrives with its text") {
  CHECK_THROWS_WITH(run_in_child([]() -> std::vector<double> { throw std::runtime_error("the seventh seal"); }),
                    "the seventh seal");
}

TEST_CASE("a child that is ended is an error") {
  CHECK_THROWS_WITH(run_in_child([] { return raise(SIGKILL), std::vector<double>{}; }), contains("memory"));
  CHECK_THROWS_WITH(run_in_child([]() -> std::vector<double> { _exit(3); }), contains("status"));
}
