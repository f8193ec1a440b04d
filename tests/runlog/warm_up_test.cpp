#include "runlog/warm_up.h"

#include <random>
#include <vector>

#include "tests/catch.h"

namespace gpumonth::runlog {
namespace {

std::vector<double> noisy(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> noise(0.0, 0.03);
  std::vector<double> times;
  for (std::size_t i = 0; i < n; ++i) times.push_back(0.1 * noise(random));
  return times;
}

TEST_CASE("slow first steps are found, and the mean of the rest is the steady one") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    auto times = noisy(100, seed);
    for (std::size_t i = 0; i < 12; ++i) times[i] *= 1.0 + 1.5 / static_cast<double>(i + 1);  // 2.5x down to 1.13x
    const std::size_t d = warm_up_length(times);
    CAPTURE(seed, d);
    CHECK(d >= 8);
    CHECK(d <= 30);
  }
}

TEST_CASE("steady times lose little") {
  std::size_t cut = 0;
  for (unsigned seed = 1; seed <= 100; ++seed) cut += warm_up_length(noisy(100, seed));
  CHECK(cut < 100 * 5);  // under 5 % of the steps on average
  CHECK(warm_up_length(std::vector<double>(50, 0.1)) == 0);
}

TEST_CASE("a stall in the middle is no warm-up, a fast start neither, few steps are kept") {
  std::vector<double> stall(60, 0.1);
  stall[25] = 30;
  CHECK(warm_up_length(stall) == 0);
  std::vector<double> fast(60, 0.1);
  for (std::size_t i = 0; i < 10; ++i) fast[i] = 0.05;
  CHECK(warm_up_length(fast) == 0);
  CHECK(warm_up_length(std::vector<double>{9, 1, 1, 1, 1, 1, 1}) == 0);
  CHECK(warm_up_length({}) == 0);
}

}  // namespace
}  // namespace gpumonth::runlog
