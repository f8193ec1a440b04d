// The rungs scaling and goodput, and the sweep: against the ladder's own ends, and against runs with a known answer.
#include "budget/plan/training_plan.h"

#include <algorithm>
#include <cmath>

#include "budget/budget.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using budget::Column;
using budget::RungId;
using tests::contains;

namespace {

/// Runs whose throughput per rank falls by the given share of one rank's; batch 8 per rank.
std::vector<budget::Efficiency> runs_of(const std::vector<std::pair<int, double>>& shares) {
  std::vector<budget::Efficiency> runs;
  for (const auto& [ranks, share] : shares) {
    auto run = tests::make_run(0.4 * share, ranks);
    run.info.global_batch = 8 * ranks;
    for (auto& step : run.steps) {
      step.samples = 8 * ranks;
      step.tokens = 256 * step.samples;
      step.step_time_s /= share;
      step.model_flops /= share;  // the same work, in more time
      step.hardware_flops = step.model_flops;
    }
    runs.push_back(budget::efficiency_of(run));
  }
  return runs;
}

const budget::Rung& rung(const budget::Budget& b, budget::RungId id) {
  const auto* found = find(b.rungs, id);
  if (found == nullptr) FAIL("no rung " << name(id));
  return *found;
}

const budget::Number& line(const budget::Budget& b, const std::string& id) { return tests::line(b, "plan", id); }

/// GPUs with so much memory that the plan needs no recompute.
std::vector<std::string> roomy(const std::string& gpus) {
  return {"cost.gpus=" + gpus,       "plan.recompute=false", "plan.replica_gpus=1",
          "hardware.memory_gb=5000", "plan.imbalance=0",     "scaling.stragglers=0"};
}

/// One draw with every range of the scenario at the end that `at` names.
budget::Sample ends(const budget::Scenario& s, bool high) {
  budget::Sample sample{1, {}};
  for (const auto& [key, input] : s.inputs)
    sample.values[key] = Column::Constant(1, high ? input.number.high : input.number.low);
  sample.values[budget::kUtilisationInput] = Column::Constant(1, high ? 0.33 : 0.48);
  return sample;
}

}  // namespace

TEST_CASE("the draws' formulas are the ladder's", "[training-plan]") {
  for (const auto& overrides : std::vector<std::vector<std::string>>{
           {"scaling.curve="},
           {"scaling.curve=", "video.share=0.2..0.9"},
           {"scaling.curve=", "training.data=article", "training.samples=1e9..2e9"}}) {
    const auto s = tests::sora(overrides);
    std::vector<std::string> notes;
    const auto utilisation = budget::reached_utilisation(s, {});
    const auto training = budget::make_training_plan(s, utilisation, nullptr, 4096, notes);
    const auto b = budget::make_budget(s, {});
    const auto low = training.simulation.evaluate(ends(s, false)), high = training.simulation.evaluate(ends(s, true));
    CHECK(low.compute_flop[0] == Approx(rung(b, RungId::data).compute.low));
    CHECK(high.compute_flop[0] == Approx(rung(b, RungId::data).compute.high));
    CHECK(low.measured_months[0] == Approx(rung(b, RungId::measured_mfu).gpu_months.low));
    CHECK(high.measured_months[0] == Approx(rung(b, RungId::measured_mfu).gpu_months.high));
  }
}

TEST_CASE("with one uncertain factor the draws' 90 % is its range", "[training-plan]") {
  const auto b =
      budget::make_budget(tests::sora({"training.data=article", "scaling.curve=", "utilisation.published_mfu=0.4",
                                       "goodput.failure_rate=1e-5", "goodput.checkpoint=30", "goodput.restart=600",
                                       "goodput.other_stops=0.1", "batch.critical_clips=5000", "plan.imbalance=0"}),
                          {});
  const auto& last = rung(b, RungId::goodput);
  const double goodput = line(b, "goodput").low;
  // Latin hypercube: quantiles of one factor are exact to a slice, 1 / 16,384 of the probability.
  CHECK(last.gpu_months.low == Approx(rung(b, RungId::measured_mfu).gpu_months.low / goodput).epsilon(2e-3));
  CHECK(last.gpu_months.high == Approx(rung(b, RungId::measured_mfu).gpu_months.high / goodput).epsilon(2e-3));
  CHECK(last.draws.median == Approx(std::sqrt(last.gpu_months.low * last.gpu_months.high)).epsilon(2e-3));
  REQUIRE(b.months_shares.size() == 1);
  CHECK(b.months_shares[0].share.input == "training.data_factor");
  CHECK(b.months_shares[0].share.first_order == Approx(1).margin(0.03));
}

TEST_CASE("runs on several rank counts scale the budget", "[training-plan]") {
  const auto runs = runs_of({{1, 1.0}, {2, 0.97}, {4, 0.94}, {8, 0.91}, {16, 0.88}});
  const auto b = budget::make_budget(tests::sora(roomy("16")), runs);
  const auto& scaling = rung(b, RungId::scaling);
  CHECK_THAT(scaling.replaces, contains("reached on 1 GPU"));
  CHECK_THAT(scaling.replacement, contains("scaling of the runs (1 .. 16 GPUs)"));
  CHECK_THAT(scaling.replacement, contains("carried over"));
  // At a measured place, carried over with half to twice the loss: 1 / (1 + t (1/0.88 - 1)), t = 0.5 .. 2.
  const auto& efficiency = line(b, "efficiency");
  CHECK(efficiency.low == Approx(1 / (1 + 2 * (1 / 0.88 - 1))).epsilon(0.03));
  CHECK(efficiency.high == Approx(1 / (1 + 0.5 * (1 / 0.88 - 1))).epsilon(0.03));
  // Beyond what runs can say, the scenario's curve stands in, and a note says so.
  const auto far = budget::make_budget(tests::sora(), runs);
  CHECK_THAT(rung(far, RungId::scaling).replacement, contains("curve mlperf_gpt3"));
  CHECK(std::ranges::any_of(far.notes, [](const auto& note) { return note.find("64 times as many") != note.npos; }));
  const auto forced = budget::make_budget(tests::sora({"scaling.source=runs"}), runs);
  CHECK_THAT(rung(forced, RungId::scaling).replacement, contains("extrapolated x 256"));
}

TEST_CASE("perfect scaling costs nothing", "[training-plan]") {
  const auto runs = runs_of({{1, 1.0}, {2, 1.0}, {4, 1.0}, {8, 1.0}});
  const auto b = budget::make_budget(tests::sora(roomy("8")), runs);
  // The prior has 1 % of noise in each measurement; carrying over doubles at most what seems lost.
  CHECK(line(b, "efficiency").low > 0.95);
  CHECK(line(b, "efficiency").high < 1.03);
}

TEST_CASE("every step of the ladder has its provenance", "[training-plan]") {
  const auto b = budget::make_budget(tests::sora(), {});
  for (const auto id : {RungId::scaling, RungId::goodput})
    for (const auto& input : rung(b, id).inputs) {
      INFO(input);
      CHECK_FALSE(budget::describe_input(b, input).source.empty());
    }
  CHECK(budget::describe_input(b, "curve mlperf_gpt3_h100_v3.1").tag == budget::Tag::fitted);
  CHECK(rung(b, RungId::scaling).gpu_months.tag == budget::Tag::assumed);
}

TEST_CASE("the same input gives the same bits", "[training-plan]") {
  CHECK(budget::to_json_text(budget::make_budget(tests::sora(), {})) ==
        budget::to_json_text(budget::make_budget(tests::sora(), {})));
}

TEST_CASE("a sweep: sooner and dearer, and where the plan does not fit it says so", "[training-plan]") {
  const auto b = budget::make_budget(tests::sora(), {}, {.gpus = {8, 512, 1024, 2048, 4096, 8192, 16384}});
  REQUIRE(b.sweep.size() == 7);
  for (std::size_t i = 2; i < b.sweep.size(); ++i) {
    CHECK(b.sweep[i].gpu_months_median > b.sweep[i - 1].gpu_months_median);
    CHECK(b.sweep[i].days_median < b.sweep[i - 1].days_median);
    CHECK(b.sweep[i].goodput.high < b.sweep[i - 1].goodput.high);
  }
  CHECK_THAT(b.sweep[0].refused, contains("does not fit") || contains("needs"));
  CHECK_FALSE(b.sweep[0].gpu_months.known());
  // Llama 3 went forward in more than 90 % of its time on as many GPUs; the end is drawn, to about 0.01.
  CHECK(b.sweep.back().goodput.low < 0.9);
  CHECK(b.sweep.back().goodput.high > 0.89);
  const std::string text = budget::to_text(b);
  CHECK_THAT(text, contains(" 16384  2,048 "));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora(), {}, {.gpus = {512, 0}}), contains("at least 1"));
}

TEST_CASE("a curve whose batch per GPU falls says so, in the ladder and between the rows", "[training-plan]") {
  const auto b = budget::make_budget(tests::sora({"cost.gpus=4096"}), {}, {.gpus = {4096, 2048, 1024}});
  const std::string step =
      "from 2,048 to 4,096 GPUs the batch per GPU of curve mlperf_gpt3_h100_v3.1 falls from 4 to 0.5";
  CHECK(std::count_if(b.notes.begin(), b.notes.end(),
                      [&](const std::string& note) { return note.find(step) != std::string::npos; }) == 1);
  CHECK(std::none_of(b.notes.begin(), b.notes.end(),
                     [](const std::string& note) { return note.find("from 1,024 to 2,048") != std::string::npos; }));
  const auto alone = budget::make_budget(tests::sora({"cost.gpus=4096"}), {});
  CHECK_THAT(rung(alone, RungId::scaling).replacement, contains("its batch per GPU falls from 4 on 512 to 0.5 here"));
  const auto few = budget::make_budget(tests::sora({"cost.gpus=1024"}), {});
  CHECK_THAT(rung(few, RungId::scaling).replacement, !contains("batch per GPU falls"));
}

TEST_CASE("more GPUs mean a larger batch and more samples", "[training-plan]") {
  const auto b =
      budget::make_budget(tests::sora({"batch.critical_clips=2048", "batch.base=1"}), {}, {.gpus = {512, 16384}});
  CHECK(b.sweep[0].samples_factor.low == Approx((1 + 64 / 2048.) / (1 + 1 / 2048.)));
  CHECK(b.sweep[1].samples_factor.low == Approx(2 / (1 + 1 / 2048.)));
}

TEST_CASE("without a number of GPUs the ladder ends before scaling", "[training-plan]") {
  const auto b = budget::make_budget(tests::sora({"cost.gpus=1000..2000"}), {});
  CHECK(b.rungs.size() == 5);
  CHECK_THAT(b.notes.back(), contains("scaling, goodput: left out"));
}

TEST_CASE("curves that are not there, or no throughput, are refused", "[training-plan]") {
  CHECK_THROWS_WITH(tests::sora({"scaling.curve=none.csv"}), contains("no such file"));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"scaling.curve_name=none"}), {}), contains("no curve 'none'"));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"scaling.curve_name="}), {}), contains("name one"));
  CHECK_THROWS_WITH(budget::make_budget(tests::sora({"scaling.curve_name=frontier_rccl_allreduce_16mib"}), {}),
                    contains("no throughput"));
}
