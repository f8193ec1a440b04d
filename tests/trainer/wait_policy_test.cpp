// Not how fast it is (tests/bench/shared_machine.sh measures that), but that the setting reaches libgomp, and only where
// the user has made none.
#include "trainer/wait_policy.h"

#include <fmt/format.h>

#include "tests/catch.h"
#include "tests/trainer/runs.h"

using namespace gpumonth;
using namespace gpumonth::tests;

namespace {

/// The environment that `gpumonth train` runs its steps with, one variable a line: libgomp prints what it has taken from
/// it when it is loaded.
CommandResult run_with(const std::string& variables, const std::filesystem::path& file) {
  const auto result = run_command(fmt::format("{} OMP_DISPLAY_ENV=verbose {}", variables,
                                              train_command(0, file, {"run.steps=1", "run.threads=2"})));
  INFO(result.err);
  REQUIRE(result.exit_code == 0);
  return result;
}

/// GOMP_SPINCOUNT of the last start that libgomp speaks of, and how many there were.
std::pair<long, int> last_spin_count(const std::string& text) {
  const std::string name = "GOMP_SPINCOUNT = '";
  std::pair<long, int> found{-1, 0};
  for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos; ++found.second)
    found.first = std::stol(text.substr(at += name.size()));
  return found;
}

}  // namespace

TEST_CASE("wait policy: the count follows the time, within what libgomp does by itself") {
  CHECK(trainer::spin_count(0) == 1);
  CHECK(trainer::spin_count(1e-6) <= trainer::spin_count(1e-3));
  CHECK(trainer::spin_count(1e3) == 300'000);
}

TEST_CASE("wait policy: a run spins shortly by itself, after one more start") {
  const TemporaryFolder folder;
  const auto [count, starts] = last_spin_count(run_with("", write_run_file(folder)).err);
  CHECK(starts == 2);
  CHECK(count >= 1);
  CHECK(count < 300'000);
}

TEST_CASE("wait policy: what the user has set stays, and nothing is started again") {
  for (const std::string variable : {"GOMP_SPINCOUNT=12345", "OMP_WAIT_POLICY=active", "OMP_WAIT_POLICY=passive"}) {
    const TemporaryFolder folder;
    const auto [count, starts] = last_spin_count(run_with(variable, write_run_file(folder)).err);
    INFO(variable);
    CHECK(starts == 1);
    CHECK((variable.starts_with("GOMP") ? count == 12345 : count == 0 || count > 300'000));
  }
}

TEST_CASE("wait policy: two ranks under mpirun train to their end as ever") {
  const TemporaryFolder folder;
  const auto result = train(2, write_run_file(folder), {"run.threads=2"});
  CHECK_THAT(result.out, contains("done: 10 steps"));
}
