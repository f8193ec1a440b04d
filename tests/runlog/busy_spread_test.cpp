#include "runlog/busy_spread.h"

#include "tests/catch.h"
#include "tests/runlog/samples.h"

using namespace gpumonth::runlog;

TEST_CASE("the spread of two ranks over two steps, by hand") {
  // rows (1.3, 0.9) and (1.1, 0.7): each rank's distance from its row's mean is 0.2 in both: persistent alone
  BusySpread same;
  same.add({2, {1.2, 0.8}, 4 * 0.2 * 0.2});
  CHECK(same.per_step_variance() == Approx(0).margin(1e-15));
  CHECK(same.persistent_variance() == Approx(2 * 0.2 * 0.2));  // n - 1 = 1

  // rows (1.2, 0.8) and (0.8, 1.2): no rank is slower, all is jitter
  BusySpread jitter;
  jitter.add({2, {1.0, 1.0}, 4 * 0.2 * 0.2});
  CHECK(jitter.per_step_variance() == Approx(4 * 0.2 * 0.2));
  CHECK(jitter.persistent_variance() == 0);

  BusySpread nothing;
  CHECK_FALSE(nothing.known());
  nothing.add({1, {1.2, 0.8}, 0.08});
  nothing.add({5, {1.2}, 0});
  nothing.add({});
  CHECK_FALSE(nothing.known());
}

TEST_CASE("a log's sums are of its steady steps") {
  Run run;
  run.info.world_size = 2;
  for (int n = 1; n <= 6; ++n) {
    run.steps.push_back(samples::step(n));  // 3 of warm-up
    run.rank_steps.push_back(n);
    const auto x = static_cast<float>(n);
    run.rank_step_time_s.insert(run.rank_step_time_s.end(), {x + 0.5f, x - 0.5f});
  }
  const BusySums sums = busy_sums(run);
  CHECK(sums.rows == 3);
  CHECK(sums.mean_s == std::vector<double>{5.5, 4.5});
  CHECK(sums.squares == Approx(3 * 0.5));
  run.info.world_size = 1;
  CHECK(busy_sums(run).rows == 0);
}
