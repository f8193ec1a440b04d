// Issue: a planted difference is found with the power that the comparison states, and a set against another
// draw of itself differs at the claimed rate. Draws: GPUMONTH_COMPARE_DRAWS. Seeds are fixed; the tolerance
// is three standard errors of a binomial share of that many draws, and what else is said at the check.
#include <fmt/format.h>

#include <string>

#include "tests/catch.h"
#include "tests/scaling/compare/synthetic.h"

using namespace gpumonth;
using tests::SyntheticSet;

namespace {

constexpr int kDraws = GPUMONTH_COMPARE_DRAWS;

double binomial_error(double share) { return 3 * std::sqrt(share * (1 - share) / kDraws); }

struct Rates {
  double found = 0, any_pattern = 0, throughput = 0;  ///< shares of draws with p < 0.1
  double covered = 0;                                 ///< of the intervals of the last row
  double stated_power = 0;                            ///< mean of power_at_3_percent
  double smallest = 0;                                ///< median of smallest_difference
  std::string text;
};

/// B may differ from A in noise and speed; `planted` goes to B.
Rates rates(const SyntheticSet& a, const SyntheticSet& b, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Rates r;
  std::vector<double> smallest;
  const double last =
      1 - a.loss_per_doubling * std::log2(static_cast<double>(a.ranks.back()) / static_cast<double>(a.ranks.front()));
  for (int i = 0; i < kDraws; ++i) {
    const auto c = scaling::compare(tests::draw(a, random), tests::draw(b, random));
    r.found += c.efficiency.p_value < scaling::kTestLevel;
    r.any_pattern += c.efficiency.any_pattern.p_value < scaling::kTestLevel;
    r.throughput += c.throughput.p_value < scaling::kTestLevel;
    r.stated_power += c.efficiency.power_at_3_percent;
    smallest.push_back(c.efficiency.smallest_difference);
    const double truth = last * b.planted;
    r.covered += c.rows.back().low <= truth && truth <= c.rows.back().high;
  }
  for (double* share : {&r.found, &r.any_pattern, &r.throughput, &r.stated_power, &r.covered}) *share /= kDraws;
  r.smallest = quantile(smallest, 0.5);
  r.text = fmt::format(
      "{} draws, {} points, {} repeats, noise x {}, planted {:.2g} %: found {:.1f} %, any pattern {:.1f} %, "
      "throughput "
      "{:.1f} %, covered {:.1f} %; stated: power {:.1f} %, smallest {:.2f} %",
      kDraws, a.ranks.size(), a.repeats, b.between / a.between, 100 * b.planted, 100 * r.found, 100 * r.any_pattern,
      100 * r.throughput, 100 * r.covered, 100 * r.stated_power, 100 * r.smallest);
  if (kDraws >= 1000) WARN(r.text);
  return r;
}

void check_level(const Rates& r) {
  INFO(r.text);
  CHECK(r.found == Approx(0.1).margin(binomial_error(0.1)));
  CHECK(r.throughput == Approx(0.1).margin(binomial_error(0.1)));
  CHECK(r.covered == Approx(0.9).margin(binomial_error(0.1)));
}

}  // namespace

TEST_CASE("a set against another draw of itself differs in one case of ten", "[compare][level]") {
  for (const int repeats : {2, 3, 5}) {
    SyntheticSet set;
    set.repeats = repeats;
    const auto r = rates(set, set, 100 + static_cast<std::uint64_t>(repeats));
    check_level(r);
    CHECK(r.any_pattern == Approx(0.1).margin(binomial_error(0.1)));
  }
}

TEST_CASE("the level holds where one set is noisier and faster", "[compare][level]") {
  SyntheticSet a, b;
  b.between = 3 * a.between;
  b.within = 3 * a.within;
  b.speed = 2 * a.speed;
  const auto r = rates(a, b, 7);
  INFO(r.text);
  CHECK(r.found == Approx(0.1).margin(binomial_error(0.1)));
  CHECK(r.covered == Approx(0.9).margin(binomial_error(0.1)));
  CHECK(r.throughput > 0.99);
}

TEST_CASE("the level holds where noise grows or shrinks with the rank count", "[compare][level]") {
  for (const double growth : {4.0, 0.25}) {
    SyntheticSet set;
    set.growth = growth;
    set.between = growth < 1 ? 0.04 : 0.01;
    const auto r = rates(set, set, 17);
    INFO(r.text);
    // Where Bartlett's test does not see it, one spread is taken for all: up to 13 % or down to 5 % at 3 repeats.
    CHECK(r.found < 0.13 + binomial_error(0.13));
    CHECK(r.covered > 0.86 - binomial_error(0.14));
  }
}

TEST_CASE("two rank counts with two runs each: the level is kept from below", "[compare][level]") {
  SyntheticSet set;
  set.ranks = {1, 4};
  set.repeats = 2;
  const auto r = rates(set, set, 13);
  INFO(r.text);
  // Welch's t with 2 + 2 degrees of freedom is conservative: about 7 %.
  CHECK(r.found < 0.1 + binomial_error(0.1));
  CHECK(r.found > 0.03);
}

TEST_CASE("a planted 3 % is found with the stated power", "[compare][power]") {
  for (const int repeats : {3, 5}) {
    SyntheticSet a, b;
    a.repeats = b.repeats = repeats;
    b.planted = 0.03;
    const auto r = rates(a, b, 200 + static_cast<std::uint64_t>(repeats));
    INFO(r.text);
    // The stated power comes from the same few runs. With 16 degrees of freedom the variance has a relative
    // error of 35 %, and power bends over that range: its mean is up to 0.03 away from the true one.
    CHECK(r.found == Approx(r.stated_power).margin(binomial_error(r.found) + 0.03));
    CHECK(r.found > 0.6);
    CHECK(r.covered == Approx(0.9).margin(binomial_error(0.1)));
  }
}

TEST_CASE("the smallest difference that it states is found in four cases of five", "[compare][power]") {
  SyntheticSet a, b;
  b.planted = rates(a, a, 31).smallest;
  CHECK(b.planted > 0.02);
  CHECK(b.planted < 0.05);
  const auto r = rates(a, b, 32);
  INFO(r.text);
  CHECK(r.found == Approx(0.8).margin(binomial_error(0.8) + 0.03));
}
