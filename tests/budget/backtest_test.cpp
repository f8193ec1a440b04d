// Trainings with a disclosed cost through the budget code. The bounds are the project's goals, not measured values.
#include "budget/backtest.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using tests::contains;

namespace {

std::vector<std::filesystem::path> recipes(const std::string& folder = "recipes") {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(tests::source_path("configs/published/" + folder)))
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

TEST_CASE("of trainings of video models, and of those collected blind, four of five are inside", "[backtest]") {
  for (const char* folder : {"recipes-video", "recipes-blind"}) {
    const auto result = budget::backtest(recipes(folder));
    INFO(budget::to_text(result));
    CHECK(result.coverage >= 0.8);
    CHECK(result.median_width < 20);  // ten times either way would be no knowledge
  }
}

TEST_CASE("a recipe's prediction does not know what was disclosed", "[backtest]") {
  const auto file = tests::source_path("configs/published/recipes/opensora2-s1.toml");
  const auto plain = budget::make_budget(budget::load_scenario(file), {});
  const auto other = budget::make_budget(budget::load_scenario(file, {"disclosed.gpu_hours=1"}), {});
  CHECK(plain.rungs.back().draws.median == other.rungs.back().draws.median);
  CHECK(plain.rungs.back().gpu_months.low == other.rungs.back().gpu_months.low);
}

TEST_CASE("no bill of a recipe's own family is in its prediction", "[backtest]") {
  // Read from another folder with another bill: what it is predicted from are the shipped bills of other families.
  const auto file = tests::source_path("configs/published/recipes/pixart-512.toml");
  std::ifstream stream(file);
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const auto replace_all = [&](const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
  };
  replace_all("from = \"../", "from = \"" + tests::source_path("configs/published") + "/");
  replace_all("gpu_hours = { value = 7680", "gpu_hours = { value = 76800");
  const tests::TemporaryFolder folder;
  const auto as_it_is = budget::backtest({file}).rows[0];
  const auto ten_times = budget::backtest({folder.write("pixart.toml", text)}).rows[0];
  REQUIRE(ten_times.disclosed_hours == 10 * as_it_is.disclosed_hours);
  CHECK(ten_times.predicted_hours == as_it_is.predicted_hours);
  CHECK(ten_times.high_hours == as_it_is.high_hours);
  CHECK(as_it_is.utilisation_class == "media");

  // One of a family that is not left out moves it.
  replace_all("family = \"pixart\"", "family = \"another\"");
  CHECK(budget::backtest({folder.write("another.toml", text)}).rows[0].predicted_hours != as_it_is.predicted_hours);
}

TEST_CASE("a bill of steps is predicted without stops", "[backtest]") {
  // The same steps as a run: what lies between are the stops.
  const auto steps = budget::backtest({tests::source_path("configs/published/recipes/dit-xl-2-tpu.toml")}).rows[0];
  const auto run =
      budget::make_budget(budget::load_scenario(tests::source_path("configs/published/recipes/dit-xl-2-tpu.toml")), {});
  CHECK(steps.bill == "steps");
  CHECK(steps.predicted_hours < 0.98 * run.rungs.back().draws.median * 720);
  CHECK(steps.predicted_hours > 0.85 * run.rungs.back().draws.median * 720);
}

TEST_CASE("the score of intervals: width on logarithms, and twenty times what is missed", "[backtest]") {
  std::vector<budget::BacktestRow> rows(2);
  rows[0].predicted_hours = 20, rows[0].low_hours = 10, rows[0].high_hours = 40, rows[0].disclosed_hours = 20;
  rows[1].predicted_hours = 20, rows[1].low_hours = 10, rows[1].high_hours = 30, rows[1].disclosed_hours = 60;
  const auto score = budget::score_of(rows);
  CHECK(score.inside == 1);
  CHECK(score.median_width == Approx(3.5));
  CHECK(score.interval_score == Approx((std::log(4.0) + std::log(3.0) + 20 * std::log(2.0)) / 2));
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
