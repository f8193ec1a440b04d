// fit --loss as a user runs it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"
#include "tests/scaling/loss/planted.h"

using namespace gpumonth;
using tests::contains;
using tests::run_command;

namespace {

const std::string kLoss = std::string(GPUMONTH_BINARY) + " fit --loss ";

std::string planted_quality() {
  NormalDraws normal(7);
  nlohmann::json json;
  for (const auto& run : tests::planted_runs(tests::planted_law(), 0.005, normal))
    json["checkpoints"].push_back({{"run", run.name},
                                   {"parameters", run.parameters},
                                   {"samples_seen", run.samples},
                                   {"tokens_seen", run.tokens},
                                   {"model_flops", run.model_flops},
                                   {"validation", {{"loss", run.loss}, {"standard_error", 0.001 * run.loss}}}});
  return json.dump();
}

}  // namespace

TEST_CASE("fit --loss prints the law, the best sizes and the held-out forecast", "[command]") {
  const tests::TemporaryFolder folder;
  const auto file = folder.write("quality.json", planted_quality()).string();
  const auto text = run_command(kLoss + file + " --hold-out largest,largest-budget");
  REQUIRE(text.exit_code == 0);
  CHECK(text.err.empty());
  for (const char* part : {"20 runs, validation losses", "L(N, D) = E + A / N^a + B / D^b",
                           "The best size of each budget", "Held out: the largest size, 1.3 M parameters",
                           "Held out: the largest budget", "say nothing about natural images or video"})
    CHECK_THAT(text.out, contains(part));
  CHECK_THAT(text.out, contains("note: the largest size, 1.3 M parameters: ") &&
                           contains("have fewer tokens than any of the others"));
  const auto budget = run_command(kLoss + file + " --hold-out largest-budget");
  CHECK(budget.exit_code == 0);
  CHECK_THAT(budget.out, !contains("fewer tokens than any"));
  const auto json = nlohmann::json::parse(run_command(kLoss + file + " --hold-out 1.3e6 --json").out);
  CHECK(json["runs"].size() == 20);
  REQUIRE(json["hold_out"][0]["rows"].size() == 4);
  for (const auto& row : json["hold_out"][0]["rows"]) {
    CHECK(std::abs(row["error"].get<double>()) < 0.05);
    CHECK(row["low"].get<double>() < row["forecast"].get<double>());
    CHECK(row["high"].get<double>() > row["forecast"].get<double>());
  }
  CHECK(json["isoflop"].size() == 4);
  CHECK(json["law"]["E"]["low"].get<double>() <= json["law"]["E"]["value"].get<double>());
}

TEST_CASE("a scenario trains on a law that fit --loss wrote", "[command]") {
  const tests::TemporaryFolder folder;
  const auto file = folder.write("quality.json", planted_quality()).string();
  const auto law = (folder.path() / "law.json").string();
  REQUIRE(run_command(kLoss + file + " --json > " + law).exit_code == 0);
  const auto fitted = nlohmann::json::parse(run_command("cat " + law).out)["laws"][0];
  const auto budget =
      run_command(std::string(GPUMONTH_BINARY) + " budget " + tests::source_path("configs/scenarios/sora-2024.toml") +
                  " --set data.laws=" + law + " --set training.data=law --json");
  REQUIRE(budget.exit_code == 0);
  const auto json = nlohmann::json::parse(budget.out);
  const auto& tokens = json["inputs"]["data.optimal_tokens"];
  CHECK(tokens["tag"] == "fitted");
  CHECK_THAT(tokens["source"].get<std::string>(), contains("gpumonth fit --loss: 20 runs"));
  // D = d (N / n)^(q / p), by hand
  const double p = fitted["n_exponent"], q = fitted["d_exponent"], n = fitted["n_scale"], d = fitted["d_scale"];
  const double by_hand = d * std::pow(20e9 / n, q / p);
  CHECK(tokens["low"].get<double>() <= by_hand * (1 + 1e-9));
  CHECK(tokens["high"].get<double>() >= by_hand * (1 - 1e-9));
}

TEST_CASE("what does not go with --loss is one line and exit code 2", "[command]") {
  const tests::TemporaryFolder folder;
  const auto file = folder.write("quality.json", planted_quality()).string();
  std::filesystem::create_directory(folder.path() / "folder.json");
  for (const auto& [arguments, said] : {std::pair<std::string, std::string>{"", "name run logs, or the quality.json"},
                                        {file + " --predict 8", "--predict is of scaling curves"},
                                        {file + " --average-seeds", "no two of the"},
                                        {file + " --hold-out half", "neither largest nor largest-budget"},
                                        {folder.write("x.json", "{}").string(), "is no quality.json"},
                                        {(folder.path() / "folder.json").string(), "is a folder"},
                                        {"none.h5", "none.h5"}}) {
    const auto r = run_command(kLoss + arguments);
    INFO(arguments);
    CHECK(r.exit_code == 2);
    CHECK(r.out.empty());
    CHECK_THAT(r.err, contains(said));
    CHECK(std::count(r.err.begin(), r.err.end(), '\n') == 1);
  }
  const auto lacking = run_command(std::string(GPUMONTH_BINARY) + " fit " + file + " --hold-out largest");
  CHECK(lacking.exit_code == 2);
  CHECK_THAT(lacking.err, contains("--hold-out is of --loss"));
}
