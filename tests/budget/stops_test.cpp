// Stops are counted once: what whole runs lost is net of what Daly's formula already has at their size, and the product
// of both is held against what large runs have published.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "budget/budget.h"
#include "budget/plan/goodput.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using budget::Column;
using tests::contains;

namespace {

Column one(double x) { return Column::Constant(1, x); }

/// Share of the time of a run that took `ratio` times what its own stated speed says and that failures do not explain.
double net_stops(double ratio, double gpus, double rate, double checkpoint_s, double restart_s) {
  const Column mtbf = budget::mean_time_between_failures_s(one(rate), gpus);
  const Column interval = budget::daly_interval_s(one(checkpoint_s), mtbf);
  const double forward = budget::forward_share(interval, one(checkpoint_s), one(restart_s), mtbf)[0];
  return 1 - 1 / ratio / forward;
}

std::string effective_time_note(const budget::Budget& b) {
  for (const auto& note : b.notes)
    if (note.find("effective training time") != std::string::npos) return note;
  return "";
}

}  // namespace

TEST_CASE("other stops are what failures leave of whole runs", "[stops]") {
  const auto s = tests::sora();
  const auto checkpoint = s.at("goodput.checkpoint"), restart = s.at("goodput.restart"),
             other = s.at("goodput.other_stops");
  // Fast and slow machinery: failures explain least and most.
  const auto most = [&](double ratio, double gpus, double rate) {
    return net_stops(ratio, gpus, rate, checkpoint.low, restart.low);
  };
  const auto least = [&](double ratio, double gpus, double rate) {
    return net_stops(ratio, gpus, rate, checkpoint.high, restart.high);
  };
  constexpr double kLlama3 = 419.0 / (54 * 24 * 16384), kBloom = 1.5 / (7 * 24 * 384), kOpt = 105.0 / (56 * 24 * 992);
  CHECK(most(1.0, 2048, 2.5e-5) < 0);  // LLaMA 65 B: its own speed holds some stops already
  CHECK(most(1.1, 16384, kLlama3) == Approx(0.058).margin(5e-4));
  CHECK(least(1.1, 16384, kLlama3) < 0);
  CHECK(most(1.135, 384, kBloom) == Approx(0.114).margin(5e-4));
  CHECK(least(1.135, 384, kBloom) == Approx(0.093).margin(5e-4));
  // A large run's range holds them, and no more than a tenth beyond the largest.
  CHECK(other.low < 0.01);
  CHECK(other.high >= most(1.135, 384, kBloom));
  CHECK(other.high <= 1.1 * most(1.135, 384, kBloom));
  // OPT-175B's 23 days for 105 restarts, five hours each, are in the range of runs as they come alone.
  CHECK(least(1.7, 992, kOpt) > 2.5 * other.high);
  const auto any = budget::load_scenario(tests::source_path("configs/scenarios/dit-xl-2-256.toml"));
  CHECK(any.at("goodput.other_stops").high >= least(1.7, 992, kOpt));
  CHECK(any.at("goodput.other_stops").high <= most(1.7, 992, kOpt));
  // Its median is that of the four with the median machinery: 0, 0, and the two that these are.
  const double bloom = net_stops(1.135, 384, kBloom, 30, 600), opt = net_stops(1.7, 992, kOpt, 30, 600);
  CHECK(net_stops(1.0, 2048, 2.5e-5, 30, 600) < 0);
  CHECK(net_stops(1.1, 16384, kLlama3, 30, 600) < 0);
  CHECK(opt > bloom);
  CHECK(any.inputs.at("goodput.other_stops").distribution.median == Approx((0 + bloom) / 2).epsilon(0.01));
  for (const char* same : {"goodput.failure_rate", "goodput.checkpoint", "goodput.restart"}) {
    CHECK(any.at(same).low == s.at(same).low);
    CHECK(any.at(same).high == s.at(same).high);
  }
  CHECK((56 - 33) * 24 / 105.0 == Approx(5.3).margin(0.05));
  CHECK(kOpt < s.at("goodput.failure_rate").high);
}

TEST_CASE("the failure rate reaches to what was measured on 1,024 GPUs", "[stops]") {
  const auto rate = tests::sora().at("goodput.failure_rate");
  CHECK(rate.high == Approx(1 / (7.9 * 1024)).epsilon(0.04));
  CHECK(rate.low == Approx(2.34 / (1000 * 24 * 8)).epsilon(0.02));
}

TEST_CASE("effective training time is held against published runs", "[stops]") {
  const auto large = budget::make_budget(tests::sora({"cost.gpus=16384"}), {});
  CHECK_THAT(effective_time_note(large), contains("published runs on 9,600 .. 16,384 GPUs had 90 % .. 97 %") ||
                                             contains("published runs on 9,600 .. 16,384 GPUs had 90 .. 97 %"));
  CHECK_THAT(effective_time_note(large), contains("below"));
  CHECK(effective_time_note(budget::make_budget(tests::sora({"cost.gpus=512"}), {})).empty());
  const auto calm = budget::make_budget(
      tests::sora({"cost.gpus=16384", "goodput.failure_rate=1e-7", "goodput.other_stops=0.001"}), {});
  CHECK_THAT(effective_time_note(calm), contains("above"));
  // On few GPUs more is to be expected, and beyond theirs nothing is published.
  CHECK(effective_time_note(
            budget::make_budget(
                tests::sora({"cost.gpus=512", "goodput.failure_rate=1e-7", "goodput.other_stops=0.001"}), {}))
            .empty());
  CHECK(effective_time_note(budget::make_budget(tests::sora({"cost.gpus=32768"}), {})).empty());
}

TEST_CASE("the check is a line of text and a field of the JSON", "[stops]") {
  const auto b = budget::make_budget(tests::sora(), {});
  CHECK_THAT(budget::to_text(b), contains("published runs on 9,600 .. 16,384 GPUs"));
  const auto plan = nlohmann::json::parse(budget::to_json_text(b)).at("plan");
  CHECK(plan.at("published_effective_time").at("low").get<double>() == 0.90);
  CHECK(plan.at("published_effective_time").at("high").get<double>() == 0.97);
  CHECK(plan.at("goodput").at("low").get<double>() < plan.at("goodput").at("high").get<double>());
  // It is compared with, and never drawn: another range changes no result.
  const auto other = budget::make_budget(tests::sora({"goodput.effective_time=0.5..0.6"}), {});
  CHECK(other.rungs.back().gpu_months.low == b.rungs.back().gpu_months.low);
  CHECK_THROWS_WITH(tests::sora({"goodput.effective_time=97"}), contains("did you mean 0.97?"));
}
