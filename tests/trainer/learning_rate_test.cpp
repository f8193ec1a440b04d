// Schedules of the learning rate: values by hand, ends, and what a resumed run must find again.
#include "trainer/learning_rate.h"

#include <cmath>

#include "tests/catch.h"

using namespace gpumonth::trainer;

namespace {

RunConfig config(const char* schedule, std::int64_t steps, std::int64_t warmup, double ratio = 0,
                 std::int64_t decay = 0) {
  RunConfig c;
  c.run.steps = steps;
  c.optimizer.learning_rate = 8e-4;
  c.optimizer.schedule = schedule;
  c.optimizer.warmup_steps = warmup;
  c.optimizer.final_ratio = ratio;
  c.optimizer.decay_steps = decay;
  return c;
}

TEST_CASE("constant: a linear rise, then the rate itself, bit for bit") {
  const RunConfig c = config("constant", 1000, 8, 0.3);
  CHECK(learning_rate(c, 1) == 1e-4);
  CHECK(learning_rate(c, 4) == 4e-4);
  for (const std::int64_t step : {8, 9, 500, 1000, 5000}) CHECK(learning_rate(c, step) == 8e-4);
  CHECK(learning_rate(config("constant", 10, 0), 1) == 8e-4);
}

TEST_CASE("cosine: half a wave from the warm-up's end to the last step") {
  const RunConfig c = config("cosine", 110, 10, 0.1);
  CHECK(learning_rate(c, 5) == Approx(4e-4));
  CHECK(learning_rate(c, 10) == 8e-4);
  CHECK(learning_rate(c, 60) == Approx(8e-4 * 0.55));                                  // half way: (1 + 0.1) / 2
  CHECK(learning_rate(c, 35) == Approx(8e-4 * (0.1 + 0.9 * (2 + std::sqrt(2)) / 4)));  // an eighth of the wave
  CHECK(learning_rate(c, 110) == Approx(8e-5));
  CHECK(learning_rate(config("cosine", 100, 0), 100) == Approx(0).margin(1e-18));
  for (std::int64_t step = 11; step < 110; ++step) CHECK(learning_rate(c, step + 1) < learning_rate(c, step));
}

TEST_CASE("wsd: constant until the last decay_steps, then 1 - sqrt") {
  const RunConfig c = config("wsd", 1000, 10, 0.2, 100);
  for (const std::int64_t step : {10, 500, 900}) CHECK(learning_rate(c, step) == 8e-4);
  CHECK(learning_rate(c, 901) == Approx(8e-4 * (1 - 0.8 * 0.1)));  // sqrt(1 / 100)
  CHECK(learning_rate(c, 925) == Approx(8e-4 * (1 - 0.8 * 0.5)));  // sqrt(25 / 100)
  CHECK(learning_rate(c, 964) == Approx(8e-4 * (1 - 0.8 * 0.8)));
  CHECK(learning_rate(c, 1000) == Approx(8e-4 * 0.2));
  CHECK(learning_rate(config("wsd", 1000, 0, 0, 100), 1000) == 0);
}

TEST_CASE("a longer wsd run has the same rates up to where the shorter one's decay began, a cosine one has not") {
  const RunConfig shorter = config("wsd", 200, 10, 0, 50), longer = config("wsd", 400, 10, 0, 50);
  for (std::int64_t step = 1; step <= 150; ++step) CHECK(learning_rate(shorter, step) == learning_rate(longer, step));
  CHECK(learning_rate(shorter, 151) < learning_rate(longer, 151));
  CHECK(learning_rate(config("cosine", 200, 10), 50) < learning_rate(config("cosine", 400, 10), 50));
}

}  // namespace
