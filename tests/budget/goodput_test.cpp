// Young's and Daly's formulas against published figures, a numerical optimum, and a simulated machine that fails.
#include "budget/plan/goodput.h"

#include <cmath>
#include <random>

#include "tests/catch.h"

using namespace gpumonth::budget;

namespace {

Column one(double x) { return Column::Constant(1, x); }

double share(double interval_s, double write_s, double restart_s, double mtbf_s) {
  return forward_share(one(interval_s), one(write_s), one(restart_s), one(mtbf_s))[0];
}

constexpr double kLlama3Rate = 419.0 / (54 * 24 * 16384);  // per GPU-hour

/// Share of the time that goes forward on a machine with exponential failures; restarts and writes fail too.
double simulate(double interval_s, double write_s, double restart_s, double mtbf_s, int segments) {
  std::mt19937_64 random(11);
  std::exponential_distribution<double> time_to_failure(1 / mtbf_s);
  double clock = 0;
  for (int done = 0; done < segments;) {
    const double failure = time_to_failure(random);
    if (failure >= interval_s + write_s) {
      clock += interval_s + write_s;
      ++done;
      continue;
    }
    clock += failure;
    for (double left = time_to_failure(random); left < restart_s; left = time_to_failure(random)) clock += left;
    clock += restart_s;
  }
  return segments * interval_s / clock;
}

}  // namespace

TEST_CASE("Llama 3's rate gives the known times between failures and losses", "[goodput]") {
  CHECK(kLlama3Rate == Approx(1.973e-5).epsilon(1e-3));
  const double expected_hours[] = {12.1, 4.8}, expected_loss[] = {0.051, 0.093};
  const double gpus[] = {4200, 10500};
  for (int i = 0; i < 2; ++i) {
    const Column mtbf = mean_time_between_failures_s(one(kLlama3Rate), gpus[i]);
    CHECK(mtbf[0] / 3600 == Approx(expected_hours[i]).margin(0.05));  // as printed
    const Column interval = young_interval_s(one(30), mtbf);
    CHECK(first_order_loss(interval, one(30), one(600), mtbf)[0] == Approx(expected_loss[i]).margin(5e-4));
    // The complete model: no overlap of losses is left out, so that it loses a little less.
    CHECK(1 - share(interval[0], 30, 600, mtbf[0]) == Approx(expected_loss[i]).margin(0.006));
  }
}

TEST_CASE("Daly's interval is the best one", "[goodput]") {
  for (const double write : {1.0, 30.0, 600.0, 3000.0}) {
    INFO(write);
    const double mtbf = 10000, interval = daly_interval_s(one(write), one(mtbf))[0];
    double best = 0;
    for (double t = interval / 4; t < 4 * interval; t *= 1.001) best = std::max(best, share(t, write, 300, mtbf));
    CHECK(share(interval, write, 300, mtbf) > best - 1e-4);
  }
  CHECK(daly_interval_s(one(25000), one(10000))[0] == 10000);  // checkpoints that take longer than the machine lives
}

TEST_CASE("the formula is what a failing machine does", "[goodput]") {
  // 200,000 segments: relative standard error of the simulated share below 0.2 %; three of them.
  for (const double mtbf : {2000.0, 20000.0}) {
    INFO(mtbf);
    CHECK(share(900, 60, 0, mtbf) == Approx(simulate(900, 60, 0, mtbf, 200000)).epsilon(0.006));
    CHECK(share(900, 60, 400, mtbf) == Approx(simulate(900, 60, 400, mtbf, 200000)).epsilon(0.006));
  }
}

TEST_CASE("failures that never come cost the checkpoints alone", "[goodput]") {
  CHECK(share(1000, 10, 600, 1e12) == Approx(1000.0 / 1010).epsilon(1e-6));
}

TEST_CASE("at the critical batch twice the samples are needed", "[goodput]") {
  CHECK(samples_over_minimum(5000, one(5000))[0] == 2);
  CHECK(samples_over_minimum(50, one(5000))[0] == Approx(1.01));
}
