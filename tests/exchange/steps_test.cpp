// Which steps an export takes.
#include "exchange/steps.h"

#include "base/error.h"
#include "tests/catch.h"
#include "tests/exchange/made_run.h"

using namespace gpumonth;
using namespace gpumonth::exchange;
using gpumonth::tests::contains;

namespace {

std::vector<std::int64_t> numbers(const StepSelection& selection) {
  std::vector<std::int64_t> steps;
  for (const auto* step : selection.steps) steps.push_back(step->step);
  return steps;
}

std::string error_of(const runlog::Run& run, const std::string& asked, DefaultSteps by_default) {
  try {
    select_steps(run, asked, by_default);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("by default the last steady steps are taken, and what is left out is said") {
  const auto run = samples::made_run();
  const auto last = select_steps(run, "", DefaultSteps::last_steady);
  CHECK(numbers(last) == Steps{9, 11, 12, 13, 14, 15, 16, 17, 18, 19});
  CHECK(last.left_out == "10 of 20 steps are left out: --steps A:B names others, of 1 to 20");
  // 20 has a timeline and is a checkpoint
  CHECK(numbers(select_steps(run, "", DefaultSteps::last_exchanged)) == Steps{4, 8, 12, 16});
  const auto all = select_steps(run, "", DefaultSteps::all);
  CHECK(all.steps.size() == 20);
  CHECK(all.left_out.empty());
}

TEST_CASE("the last steady steps go back to one with a timeline of buckets") {
  auto run = samples::made_run();
  std::erase_if(run.buckets, [](const auto& bucket) { return bucket.step > 4; });
  CHECK(numbers(select_steps(run, "", DefaultSteps::last_steady)) ==
        Steps{4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19});
  run.buckets.clear();
  CHECK(select_steps(run, "", DefaultSteps::last_steady).steps.size() == 10);
}

TEST_CASE("--steps takes what it says, whatever its phase") {
  const auto run = samples::made_run();
  CHECK(numbers(select_steps(run, "2:5", DefaultSteps::last_steady)) == Steps{2, 3, 4, 5});
  CHECK(numbers(select_steps(run, "20", DefaultSteps::last_steady)) == Steps{20});
  CHECK(numbers(select_steps(run, "19:400", DefaultSteps::last_steady)) == Steps{19, 20});
  CHECK(numbers(select_steps(run, "2:9", DefaultSteps::last_exchanged)) == Steps{4, 8});
  // one rank exchanges nothing
  CHECK(numbers(select_steps(samples::made_run(1), "2:4", DefaultSteps::last_exchanged)) == Steps{2, 3, 4});
}

TEST_CASE("steps that are not there, and text that names none, are refused") {
  auto run = samples::made_run();
  const auto last = DefaultSteps::last_steady, exchanged = DefaultSteps::last_exchanged;
  CHECK(error_of(run, "21:30", last) == "--steps 21:30: made.h5 has no such step, but 1 to 20");
  CHECK_THAT(error_of(run, "9:5", last), contains("--steps 5:9"));
  for (const char* text : {"x", "1:", ":", "1:2:3", "1.5", "-3", "1e300", "nan", " "})
    CHECK_THAT(error_of(run, text, last), contains("is not the number of a step"));
  CHECK_THAT(error_of(run, "5:7", exchanged), contains("none of these 3 steps has a timeline"));
  CHECK_THAT(error_of(run, "5:7", exchanged), contains("--steps 20"));
  run.buckets.clear();
  CHECK_THAT(error_of(run, "", exchanged), contains("log.bucket_every = 1"));
  run.steps.resize(3);
  CHECK(error_of(run, "", last) ==
        "made.h5: has no steady step: train for longer than log.steady_after, or name steps, --steps 1:3");
  run.steps.clear();
  CHECK_THAT(error_of(run, "1:3", last), contains("has no steps"));
}
