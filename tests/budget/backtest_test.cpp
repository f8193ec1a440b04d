// Trainings with a disclosed cost through the budget code. The bounds are the project's goals, not measured values.
#include "budget/backtest.h"

#include <algorithm>
#include <filesystem>

#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

std::vector<std::filesystem::path> recipes() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(tests::source_path("configs/published/recipes")))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

TEST_CASE("disclosed costs lie in the intervals, and the error is small", "[backtest]") {
  const auto result = budget::backtest(recipes());
  INFO(budget::to_text(result));
  CHECK(result.rows.size() >= 12);
  CHECK(result.median_error <= 0.35);
  CHECK(result.coverage >= 0.8);
  for (const auto& row : result.rows) {
    INFO(row.title);
    CHECK(row.low_hours < row.predicted_hours);
    CHECK(row.predicted_hours < row.high_hours);
    CHECK(row.high_hours < 40 * row.low_hours);  // an interval of everything would cover too
  }
}

TEST_CASE("a recipe's prediction does not know what was disclosed", "[backtest]") {
  const auto file = tests::source_path("configs/published/recipes/opensora2-s1.toml");
  const auto plain = budget::make_budget(budget::load_scenario(file), {});
  const auto other = budget::make_budget(budget::load_scenario(file, {"disclosed.gpu_hours=1"}), {});
  CHECK(plain.rungs.back().draws.median == other.rungs.back().draws.median);
  CHECK(plain.rungs.back().gpu_months.low == other.rungs.back().gpu_months.low);
}

TEST_CASE("a benchmark of its own is the utilisation", "[backtest]") {
  // 85,000 steps x 224 GPUs x 7.56 s without failures, scaling and stops.
  const auto file = tests::source_path("configs/published/recipes/opensora2-s1.toml");
  const auto b = budget::make_budget(budget::load_scenario(file, {"utilisation.gpu_seconds=7.56"}), {});
  CHECK(b.rungs[1].gpu_months.low * 720 == Approx(85000.0 * 224 * 7.56 / 3600));
}

TEST_CASE("what is no recipe is named", "[backtest]") {
  CHECK_THROWS_WITH(budget::backtest({tests::source_path("configs/scenarios/sora-2024.toml")}),
                    contains("is no recipe"));
  CHECK_THROWS_WITH(budget::backtest({"none.toml"}), contains("none.toml"));
  CHECK_THROWS_WITH(budget::backtest({}), contains("no recipes"));
}
