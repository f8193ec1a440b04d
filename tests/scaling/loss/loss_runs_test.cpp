// Points of loss against compute from run logs and from quality.json: sums done here by hand, and what is refused.
#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "runlog/writer.h"
#include "scaling/loss/loss_fit.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/scaling/loss/planted.h"

using namespace gpumonth;
using namespace gpumonth::scaling;
using tests::contains;

namespace {

/// `steps` steps from `first` on: 8 samples of 256 tokens, 1 GFLOP, loss 1 / step.
runlog::Run training(int first, int steps, double start_time = 1) {
  runlog::Run run = tests::make_run(0.5, 1, first + steps - 1);
  run.steps.erase(run.steps.begin(), run.steps.begin() + first - 1);
  for (auto& step : run.steps) step.model_flops = 1e9;
  run.info.start_time_unix_s = start_time;
  run.info.resumed_from = first > 1 ? "checkpoint-" + std::to_string(first - 1) + ".h5" : "";
  return run;
}

std::string message(const std::vector<std::string>& files) {
  try {
    read_loss_runs(files);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

constexpr const char* kCheckpoint =
    R"({{"checkpoint": "c.h5", "run": "{}", "parameters": {}, "samples_seen": 1000, "tokens_seen": 64000, "model_flops": 1e12,
        "validation": {{"samples": 100, "loss": {}, "standard_error": 0.001}}}})";

std::string quality(const std::string& checkpoints) { return "{\"checkpoints\": [" + checkpoints + "]}"; }

}  // namespace

TEST_CASE("a log's point: sums over all steps, the loss of the last fifth", "[loss]") {
  const LossRun run = loss_of_logs(std::vector{training(1, 100)});
  CHECK(run.parameters == 32956064);
  CHECK(run.samples == 800);
  CHECK(run.tokens == 800 * 256);
  CHECK(run.model_flops == Approx(100e9));
  double sum = 0;
  for (int step = 81; step <= 100; ++step) sum += 1.0 / step;
  CHECK(run.loss == Approx(sum / 20).epsilon(1e-12));
  CHECK(run.standard_error > 0);
  CHECK(run.standard_error < 0.1 * run.loss);
}

TEST_CASE("a run that went on from a checkpoint is one run, and steps that it made twice count once", "[loss]") {
  const tests::TemporaryFolder folder;
  const auto path = [&](const char* name) { return (folder.path() / name).string(); };
  runlog::write(path("run.h5"), training(1, 60));
  runlog::write(path("run-from-50.h5"), training(51, 50, 2));
  const auto all = read_loss_runs({path("run-from-50.h5"), path("run.h5"), path("run.h5")});
  REQUIRE(all.runs.size() == 1);
  CHECK(all.kind == LossKind::training);
  CHECK(all.runs[0].samples == 800);
  CHECK(all.runs[0].loss == Approx(loss_of_logs(std::vector{training(1, 100)}).loss));
  CHECK_THAT(message({path("run-from-50.h5")}),
             contains("begins with step 51, from checkpoint-50.h5") && contains("run.h5"));
  runlog::write(path("other.h5"), training(1, 15));
  CHECK_THAT(message({path("other.h5")}), contains("has 15 steps, fewer than the 16"));
}

TEST_CASE("logs without losses of their own are refused", "[loss]") {
  auto log = training(1, 100);
  log.info.origin = runlog::Origin::replayed;
  log.info.source_run = "a.h5";
  CHECK_THROWS_WITH(loss_of_logs(std::vector{log}), contains("was replayed") && contains("give a.h5"));
  log = training(1, 100);
  log.steps[99].loss = -0.5;
  CHECK_THROWS_WITH(loss_of_logs(std::vector{log}), contains("the loss of step 100 is -0.5"));
  const tests::TemporaryFolder folder;
  const auto file = (folder.path() / "sample.h5").string();
  log = training(1, 100);
  log.info.sampling = runlog::SamplingInfo{"ddim", 100, 1, "c.h5", "00000000"};
  runlog::write(file, log);
  CHECK_THAT(message({file}), contains("sampl"));
}

TEST_CASE("quality.json gives validation losses", "[loss]") {
  const tests::TemporaryFolder folder;
  const auto file = [&](const std::string& text) { return folder.write("quality.json", text).string(); };
  const auto all = read_loss_runs({file(quality(fmt::format(kCheckpoint, "a", 1e5, 0.25)))});
  REQUIRE(all.runs.size() == 1);
  CHECK(all.kind == LossKind::validation);
  CHECK(all.runs[0].name == "a");
  CHECK(all.runs[0].tokens == 64000);
  CHECK(all.runs[0].loss == 0.25);
  CHECK(all.runs[0].standard_error == 0.001);
  for (const char* bad : {"", "[]", "{}", "{\"checkpoints\": []}", "{\"checkpoints\": 3}"})
    CHECK_THAT(message({file(bad)}), contains("is no quality.json with checkpoints[]"));
  CHECK_THAT(message({file(quality("3"))}), contains("is no object"));
  CHECK_THAT(message({file(quality(R"({"run": "a"})"))}), contains("has no validation loss"));
  CHECK_THAT(message({file(quality(fmt::format(kCheckpoint, "a", 1e5, -1)))}), contains("a has no loss above 0"));
  CHECK_THAT(message({file(quality(fmt::format(kCheckpoint, "a", "\"1\"", 1)))}),
             contains("a has no parameters above 0"));
  CHECK_THAT(message({(folder.path() / "none.json").string()}), contains("cannot be read"));
  CHECK_THAT(message({file(quality(fmt::format(kCheckpoint, "a", 1e5, 1))), "run.h5"}), contains("give one kind"));
}

TEST_CASE("what is no grid of sizes and budgets gets one line", "[loss]") {
  NormalDraws normal(1);
  const auto refused = [](const std::vector<LossRun>& runs, const LossFitOptions& options = {}) {
    try {
      fit_loss({LossKind::validation, runs, {}}, options);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto law = tests::planted_law();
  const auto all = tests::planted_runs(law, 0.01, normal);
  CHECK_THAT(refused({all.front()}), contains("1 run, fewer than the 8"));
  CHECK_THAT(refused(tests::planted_runs(law, 0.01, normal, {1e5}, {1, 2, 3, 4, 5, 6, 7, 8})),
             contains("one size") || contains("have 1 size"));
  CHECK_THAT(refused(tests::planted_runs(law, 0.01, normal, {1e5, 2e5, 3e5, 4e5, 5e5, 6e5, 7e5, 8e5}, {1e12})),
             contains("one budget"));
  auto apart = all;
  for (std::size_t i = 0; i < apart.size(); ++i) apart[i].model_flops *= std::pow(1.5, static_cast<double>(i));
  CHECK_THAT(refused(apart), contains("no 3 sizes share a budget"));
  CHECK_THAT(refused(all, {{"biggest"}, 10}), contains("neither largest nor largest-budget nor a number"));
  CHECK_THAT(refused(all, {{"3e6"}, 10}), contains("no run has so many parameters; the nearest has 1300000"));
  const auto few = tests::planted_runs(law, 0.01, normal, {5e4, 1e5, 2e5}, {1e12, 2e12, 4e12});
  CHECK_THAT(refused(few, {{"largest"}, 10}), contains("6 runs are left, fewer than the 8"));
}

TEST_CASE("seeds of a point: its mean loss, with the error of a mean by the scatter of all seeds", "[loss]") {
  LossRuns data{LossKind::training, {}, {}};
  const auto add = [&](const char* name, double parameters, double loss) {
    data.runs.push_back({name, parameters, 1000, 64000, 1e12, loss, 0.004});
  };
  add("a", 1e5, 0.98);
  add("b", 2e5, 0.5);
  add("c", 1e5, 1.02);
  add("d", 2e5, 0.5);
  add("e", 3e5, 0.4);
  const LossRuns points = average_seeds(data);
  REQUIRE(points.runs.size() == 3);
  CHECK(points.runs[0].name == "a and 1 more");
  CHECK(points.runs[0].loss == Approx(1.0));
  CHECK(points.runs[1].loss == Approx(0.5));
  CHECK(points.runs[2].name == "e");
  // Relative differences -0.02, 0.02, 0, 0 with one of two differences free in each point, none in the last
  const double scatter = std::sqrt(2 * 0.02 * 0.02 / 2);
  CHECK(points.runs[0].standard_error == Approx(scatter / std::sqrt(2.0)));
  CHECK(points.runs[1].standard_error == Approx(scatter * 0.5 / std::sqrt(2.0)));
  CHECK(points.runs[2].standard_error == Approx(scatter * 0.4));
  CHECK_THAT(points.notes.back(), contains("5 runs are 3 points") && contains("2.0 %"));
  data.kind = LossKind::validation;
  CHECK(average_seeds(data).runs[0].standard_error == Approx(std::hypot(scatter / std::sqrt(2.0), 0.004)));
  data.runs = {data.runs[0], data.runs[1]};
  CHECK_THROWS_WITH(average_seeds(data), contains("no two of the 2 runs"));
}
