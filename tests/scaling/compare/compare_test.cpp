#include "scaling/compare/compare.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/scaling/compare/synthetic.h"

using namespace gpumonth;
using tests::contains;

namespace {

scaling::MeasuredRun run_at(std::int64_t ranks, double batch, double samples_per_s) {
  scaling::MeasuredRun run;
  run.ranks = ranks;
  run.batch_per_rank = batch;
  run.samples_per_s = samples_per_s;
  return run;
}

/// Two repeats at 1 % above and below each throughput, by (ranks, batch, throughput).
scaling::RunSet pairs(std::initializer_list<std::array<double, 3>> places) {
  scaling::RunSet set;
  set.name = "pairs";
  for (const auto& [ranks, batch, speed] : places)
    for (const double noise : {1.01, 1 / 1.01})
      set.runs.push_back(run_at(static_cast<std::int64_t>(ranks), batch, speed * noise));
  return set;
}

/// A log whose steady steps have these parts, s; every rank is busy 10 ms, the last one `straggle_s` longer.
runlog::Run log_with(int ranks, double compute_s, double exposed_s, double straggle_s, double other_s) {
  auto run = tests::make_run(0.4, ranks);
  for (auto& step : run.steps) {
    step.data_s = 0.001;
    step.forward_s = compute_s / 4;
    step.backward_s = compute_s / 2;
    step.optimizer_s = compute_s / 4;
    step.exposed_comm_s = exposed_s;
    step.step_time_s = 0.001 + compute_s + exposed_s + other_s;
    step.samples = 8 * ranks;
    step.tokens = 256 * step.samples;
  }
  for (std::size_t i = 0; i < run.rank_step_time_s.size(); ++i)
    run.rank_step_time_s[i] = static_cast<float>(
        0.01 + (i % static_cast<std::size_t>(ranks) + 1 == static_cast<std::size_t>(ranks) ? straggle_s : 0));
  run.info.global_batch = 8 * ranks;
  return run;
}

scaling::RunSet set_of(const std::vector<runlog::Run>& logs) {
  scaling::RunSet set;
  set.name = "logs";
  for (const auto& log : logs) set.runs.push_back(*scaling::measure({&log, 1}, runlog::summarize(log)));
  return set;
}

double sum(const scaling::StepShares& shares) {
  double total = 0;
  for (const double share : shares) total += share;
  return total;
}

double share(const scaling::StepShares& shares, scaling::StepShare which) {
  return shares[static_cast<std::size_t>(which)];
}

}  // namespace

TEST_CASE("efficiencies, differences and ratios are those of the means", "[compare]") {
  const auto c =
      scaling::compare(pairs({{1, 8, 100}, {2, 8, 190}, {4, 8, 360}}), pairs({{1, 8, 50}, {2, 8, 90}, {4, 8, 160}}));
  REQUIRE(c.rows.size() == 3);
  CHECK(c.rows[0].is_baseline);
  CHECK(c.rows[0].difference == 0);
  CHECK(c.rows[2].a.efficiency == Approx(0.9));
  CHECK(c.rows[2].b.efficiency == Approx(0.8));
  CHECK(c.rows[2].difference == Approx(0.1));
  CHECK(c.rows[2].low < 0.1);
  CHECK(c.rows[2].high > 0.1);
  CHECK(c.rows[1].throughput_ratio == Approx(190.0 / 90));
  CHECK(c.efficiency.ratio == Approx(std::sqrt((0.95 / 0.9) * (0.9 / 0.8))));
  // Every pair's logarithms are +-log(1.01): variance 2 log(1.01)^2, 3 degrees of freedom in each set.
  CHECK(c.noise_a.run_to_run == Approx(std::sqrt(2.0) * std::log(1.01)));
  CHECK(c.noise_a.freedom == 3);
  CHECK(c.efficiency.freedom == Approx(6));
  // Mean of two cells - baseline: variance s^2 / 2 (1/2 + 1) in each set; t(0.9, 6) = 1.943.
  const double error = c.noise_a.run_to_run * std::sqrt(2 * 0.5 * 1.5);
  CHECK(std::log(c.efficiency.high / c.efficiency.low) == Approx(2 * 1.9432 * error).epsilon(1e-3));
}

TEST_CASE("a set does not differ from itself", "[compare]") {
  std::mt19937_64 random(5);
  const auto set = tests::draw({}, random);
  const auto c = scaling::compare(set, set);
  CHECK(c.efficiency.p_value == Approx(1));
  CHECK(c.efficiency.any_pattern.p_value == Approx(1));
  for (const auto& row : c.rows) CHECK(row.difference == 0);
}

TEST_CASE("order of the sets changes the sign and nothing else", "[compare]") {
  std::mt19937_64 random(6);
  const auto a = tests::draw({}, random), b = tests::draw({}, random);
  const auto ab = scaling::compare(a, b), ba = scaling::compare(b, a);
  CHECK(ab.efficiency.p_value == Approx(ba.efficiency.p_value));
  CHECK(ab.rows.back().low == Approx(-ba.rows.back().high));
  CHECK(ab.efficiency.ratio == Approx(1 / ba.efficiency.ratio));
}

TEST_CASE("strong scaling counts from the same global batch, weak from the same batch per rank", "[compare]") {
  const auto strong = pairs({{1, 8, 100}, {2, 4, 180}, {4, 2, 300}});
  const auto c = scaling::compare(strong, strong);
  CHECK(c.rows[2].a.efficiency == Approx(0.75));
  CHECK(c.rows[2].baseline_batch == 8);
  const auto both = pairs({{1, 8, 100}, {1, 4, 80}, {2, 8, 190}, {2, 4, 150}, {2, 2, 120}});
  const auto w = scaling::compare(both, both);
  REQUIRE(w.rows.size() == 5);
  CHECK(w.rows[2].a.efficiency == Approx(0.95));       // 2 ranks, batch 8: from 100
  CHECK(w.rows[3].a.efficiency == Approx(75.0 / 80));  // batch 4: from 80
  CHECK(w.rows[4].baseline_batch == 4);                // batch 2, 4 in all: from batch 4
}

TEST_CASE("without repeats the noise is the other set's, else an assumed one", "[compare]") {
  const auto repeated = pairs({{1, 8, 100}, {2, 8, 190}});
  scaling::RunSet single = repeated;
  single.runs = {run_at(1, 8, 100), run_at(2, 8, 190)};
  const auto borrowed = scaling::compare(repeated, single);
  CHECK(borrowed.noise_a.source == scaling::NoiseSource::measured);
  CHECK(borrowed.noise_b.source == scaling::NoiseSource::other_set);
  CHECK(borrowed.noise_b.run_to_run == borrowed.noise_a.run_to_run);
  for (auto& run : single.runs) run.within = 0.02;
  const auto assumed = scaling::compare(single, single);
  CHECK(assumed.noise_a.source == scaling::NoiseSource::assumed);
  CHECK(assumed.noise_a.run_to_run == Approx(std::hypot(0.01, 0.02)));
  // Four means of 1 run each. The steps' part is known: more than 3 degrees of freedom, fewer than infinity.
  CHECK(assumed.efficiency.freedom == Approx(3 * std::pow((0.01 * 0.01 + 0.02 * 0.02) / (0.01 * 0.01), 2)));
  CHECK_THAT(to_text(assumed), contains("assumed"));
  CHECK(nlohmann::json::parse(to_json_text(assumed))["a"]["noise"]["tag"] == "assumed");
}

TEST_CASE("the parts of a step sum to it, and their contributions to the difference", "[compare]") {
  // ms at 4 ranks: A 80 compute + 10 exposed, of them 0 for stragglers; B 84 compute + 18 exposed, 6 x 3/4 stragglers.
  const auto a = set_of({log_with(1, 0.08, 0, 0, 0.001), log_with(4, 0.08, 0.010, 0, 0.001)});
  const auto b = set_of({log_with(1, 0.08, 0, 0, 0.001), log_with(4, 0.084, 0.018, 0.006, 0.002)});
  const auto c = scaling::compare(a, b);
  for (const auto& row : c.rows)
    for (const auto* side : {&row.a, &row.b}) {
      REQUIRE(side->shares);
      CHECK(sum(*side->shares) == Approx(side->step_time_s));
    }
  const auto& row = c.rows[1];
  using enum scaling::StepShare;
  // The average rank of B is busy 6 / 4 = 1.5 ms longer than rank 0, the slowest 4.5 ms longer than that.
  CHECK(share(*row.b.shares, compute) == Approx(0.0855).epsilon(1e-4));
  CHECK(share(*row.b.shares, stragglers) == Approx(0.0045).epsilon(1e-3));
  CHECK(share(*row.b.shares, exposed_comm) == Approx(0.012).epsilon(1e-3));
  CHECK(share(*row.b.shares, rest) == Approx(0.002).epsilon(1e-3));
  CHECK(share(*row.a.shares, stragglers) == Approx(0).margin(1e-6));
  REQUIRE(row.contributions);
  CHECK(sum(*row.contributions) == Approx(row.difference).epsilon(1e-9));
  // 5.5 ms of compute out of a step of 82 ms: E_A E_B x 5.5 / 82.
  CHECK(share(*row.contributions, compute) == Approx(row.a.efficiency * row.b.efficiency * 5.5 / 82).epsilon(1e-3));
}

TEST_CASE("steps of a resumed run count together", "[compare]") {
  auto first = tests::make_run(0.4, 2, 23), second = first;
  for (auto& step : second.steps) step.step_time_s *= 3;
  const std::vector<runlog::Run> logs = {first, second};
  const auto run = scaling::measure(logs, runlog::summarize(logs));
  REQUIRE(run);
  CHECK(run->steps == 40);
  CHECK(run->samples_per_s == Approx(8 / 0.2));  // as many steps of 0.1 as of 0.3 s
  const auto young = tests::make_run(0.4, 2, 3);
  CHECK_FALSE(scaling::measure({&young, 1}, runlog::summarize(young)));
}

TEST_CASE("sets that cannot be compared are refused with the reason", "[compare]") {
  const auto a = pairs({{1, 8, 100}, {2, 8, 190}});
  CHECK_THROWS_WITH(scaling::compare(a, pairs({{4, 8, 400}, {8, 8, 700}})), contains("no rank count"));
  CHECK_THROWS_WITH(scaling::compare(a, pairs({{1, 4, 100}, {2, 4, 190}})), contains("same batch per rank"));
  CHECK_THROWS_WITH(scaling::compare(a, pairs({{2, 8, 400}, {8, 8, 700}})), contains("only 2 ranks"));
  auto tokens = a;
  tokens.unit = "tokens/s";
  CHECK_THROWS_WITH(scaling::compare(a, tokens), contains("one unit"));
  auto mine = a, other = a;
  mine.facts = scaling::RunFacts{"dit-s-2", "bf16", "cpu", "mpi", "X", 33, 256, 1};
  other.facts = scaling::RunFacts{"dit-b-2", "bf16", "cpu", "mpi", "X", 33, 256, 1};
  CHECK_THROWS_WITH(scaling::compare(mine, other), contains("the model"));
  other.facts = scaling::RunFacts{"dit-s-2", "bf16", "cpu", "mpi", "Y", 33, 256, 1};
  const auto c = scaling::compare(mine, other);
  CHECK_THAT(c.notes.front(), contains("device differs"));
  auto unknown = a;
  for (auto& run : unknown.runs) run.batch_per_rank = NAN;
  CHECK(scaling::compare(a, unknown).rows.size() == 2);
  CHECK_THROWS_WITH(scaling::compare(pairs({{1, 8, 100}, {1, 4, 90}, {2, 8, 190}}), unknown),
                    contains("batch_per_rank"));
}

TEST_CASE("points of one set alone are named, and the baseline is common", "[compare]") {
  const auto c =
      scaling::compare(pairs({{1, 8, 100}, {2, 8, 190}, {4, 8, 360}}), pairs({{2, 8, 190}, {4, 8, 350}, {8, 8, 600}}));
  CHECK(c.rows.size() == 2);
  CHECK(c.rows.back().a.efficiency == Approx(360.0 / 380));
  const auto text = to_text(c);
  CHECK_THAT(text, contains("only A has 1 rank, batch 8 per rank"));
  CHECK_THAT(text, contains("only B has 8 ranks"));
  CHECK_THAT(text, contains("count from 2 ranks"));
}
