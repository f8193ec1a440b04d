// What a class of trainings reaches, learned from bills: against closed forms, by hand and by simulation.
#include "budget/class_utilisation.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/budget/samples.h"
#include "tests/catch.h"
#include "tests/command.h"

using namespace gpumonth;
using budget::Bill;
using tests::contains;

namespace {

double logit(double u) { return std::log(u / (1 - u)); }

Bill bill(const std::string& family, double y, double variance = 0, const std::string& of = "media") {
  return {family + ".toml", family, of, y, variance};
}

/// 1 PFLOP a sample of 1e14 FLOP/s x 3,600 s x hours x 1/2: u = samples x 1e15 / ...
budget::Scenario recipe(const std::string& disclosed, const std::string& more = "") {
  const tests::TemporaryFolder folder;
  std::string text = tests::small_scenario("value = 36",
                                           "flop_per_sample = { low = 1e15, high = 4e15, unit = \"FLOP\", "
                                           "tag = \"assumed\", source = \"test\" }\n[disclosed]\n" +
                                               disclosed + more);
  text.replace(text.find("[utilisation]"), 13, "[utilisation]\nclass = \"media\"");
  return budget::load_scenario(folder.write("recipe.toml", text));
}

constexpr const char* kTwoHours =
    "gpu_hours = { value = 2, unit = \"GPU-hour\", tag = \"published\", source = \"test\" }\n";

}  // namespace

TEST_CASE("families of one exact bill each: the prediction interval of a normal sample", "[class_utilisation]") {
  const std::vector<double> y = {-2.0, -1.5, -0.4, 0.3, -1.1};
  std::vector<Bill> bills;
  double sum = 0, squares = 0;
  for (const double x : y) bills.push_back(bill("f" + std::to_string(bills.size()), x)), sum += x;
  for (const double x : y) squares += (x - sum / 5) * (x - sum / 5);
  const auto c = budget::class_utilisation(bills, "media");
  REQUIRE(c);
  const double reach = 2.1318467863 * std::sqrt(squares / 4 * (1 + 1.0 / 5));  // t of 4 degrees of freedom, 95 %
  CHECK(logit(c->median) == Approx(sum / 5));
  CHECK(logit(c->low) == Approx(sum / 5 - reach));
  CHECK(logit(c->high) == Approx(sum / 5 + reach));
  CHECK(c->between == Approx(std::sqrt(squares / 4)));
  CHECK(c->families == 5);
}

TEST_CASE("families that differ by no more than their bills do have no spread of their own", "[class_utilisation]") {
  // Each family -1 +- 0.5: within^2 = 2 x 0.25 of one degree of freedom each; means are equal.
  std::vector<Bill> bills;
  for (const char* family : {"a", "b", "c", "d"}) {
    bills.push_back(bill(family, -1.5));
    bills.push_back(bill(family, -0.5));
  }
  const auto c = budget::class_utilisation(bills, "media");
  REQUIRE(c);
  CHECK(c->within == Approx(std::sqrt(0.5)));
  CHECK(c->between == Approx(0).margin(1e-5));
  CHECK(logit(c->high) - logit(c->median) == Approx(2.3533634348 * std::sqrt(0.5 + 0.5 / 2 / 4)));  // t of 3
}

TEST_CASE("another class's families say nothing of this one", "[class_utilisation]") {
  std::vector<Bill> bills = {bill("a", -1), bill("a", -1.2), bill("b", 0.3), bill("c", -0.7)};
  const auto alone = budget::class_utilisation(bills, "media");
  bills.insert(bills.end(), {bill("a", 5, 0, "text"), bill("d", -5, 0, "text"), bill("d", 5, 0, "text")});
  CHECK(budget::class_utilisation(bills, "media")->within == alone->within);
  CHECK(budget::class_utilisation(bills, "media")->high == alone->high);
}

TEST_CASE("a team with many bills counts once", "[class_utilisation]") {
  std::vector<Bill> bills = {bill("a", -1), bill("b", 0), bill("c", -2), bill("d", -1)};
  const double once = budget::class_utilisation(bills, "media")->median;
  for (int i = 0; i < 20; ++i) bills.push_back(bill("b", 0));
  CHECK(budget::class_utilisation(bills, "media")->median == Approx(once).epsilon(1e-6));
}

TEST_CASE("a bill whose FLOPs are hardly known weighs little", "[class_utilisation]") {
  std::vector<Bill> bills = {bill("a", -1), bill("b", -1.2), bill("c", -0.8), bill("d", 3, 100)};
  CHECK(logit(budget::class_utilisation(bills, "media")->median) == Approx(-1).margin(0.05));
}

TEST_CASE("nothing of the family that is left out is in the result", "[class_utilisation]") {
  const std::vector<Bill> others = {bill("a", -1), bill("a", -2), bill("b", 0.1), bill("c", -0.7),
                                    bill("e", 0, 0, "text")};
  std::vector<Bill> all = others;
  all.insert(all.end(), {bill("own", -5), bill("own", 4), bill("own", 2, 0, "text")});
  const auto without = budget::class_utilisation(others, "media"),
             left_out = budget::class_utilisation(all, "media", "own");
  CHECK(left_out->low == without->low);
  CHECK(left_out->high == without->high);
  CHECK(left_out->within == without->within);
  CHECK(budget::class_utilisation(all, "media")->low < without->low);
}

TEST_CASE("two families are too few", "[class_utilisation]") {
  const std::vector<Bill> bills = {bill("a", -1), bill("b", -2), bill("b", -3), bill("c", 0)};
  CHECK(budget::class_utilisation(bills, "media"));
  CHECK_FALSE(budget::class_utilisation(bills, "media", "c"));
  CHECK_FALSE(budget::class_utilisation(bills, "large"));
}

TEST_CASE("of trainings drawn from the model 90 % are inside", "[class_utilisation]") {
  // 8 families of 1 to 3 bills, between 0.6, within 0.4, FLOPs known to 0.3; 4,000 draws: 1 % is two standard errors.
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  int inside = 0;
  constexpr int kTrials = 4000;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<Bill> bills;
    for (int f = 0; f < 8; ++f) {
      const double effect = -1.5 + 0.6 * normal(random);
      for (int i = 0; i <= f % 3; ++i)
        bills.push_back(bill("f" + std::to_string(f), effect + 0.5 * normal(random), 0.09));
    }
    // What is drawn has within 0.5 = sqrt(0.4^2 + 0.3^2), as the bills themselves scatter by their FLOPs' errors.
    const auto c = budget::class_utilisation(bills, "media");
    const double next = 1 / (1 + std::exp(1.5 - 0.6 * normal(random) - 0.5 * normal(random)));
    inside += c->low <= next && next <= c->high ? 1 : 0;
  }
  CHECK(static_cast<double>(inside) / kTrials > 0.88);
  CHECK(static_cast<double>(inside) / kTrials < 0.94);
}

TEST_CASE("a bill is FLOPs over GPU time x peak, stops taken out of a run's", "[class_utilisation]") {
  // 36 samples x sqrt(1e15 x 4e15) = 7.2e16 over 1e14 x 7,200 s: 0.1.
  const std::string family = std::string("family = \"x\"\n") + kTwoHours;
  const auto plain = budget::bill_of(recipe(family));
  REQUIRE(plain);
  CHECK(plain->logit == Approx(logit(0.1)));
  CHECK(std::sqrt(plain->variance) == Approx(std::log(4.0) / (2 * 1.6448536) / 0.9));
  // Half of the time in other stops: of a run it is twice as much, of steps the same.
  const std::string stops =
      "[cost]\ngpus = { value = 8, unit = \"GPU\", tag = \"assumed\", source = \"test\" }\n[goodput]\n"
      "failure_rate = { value = 0, unit = \"1/GPU-hour\", tag = \"assumed\", source = \"test\" }\n"
      "checkpoint = { value = 1, unit = \"s\", tag = \"assumed\", source = \"test\" }\n"
      "restart = { value = 1, unit = \"s\", tag = \"assumed\", source = \"test\" }\n"
      "other_stops = { value = 0.5, unit = \"1\", tag = \"assumed\", source = \"test\" }\n";
  CHECK(budget::bill_of(recipe(family, stops))->logit == Approx(logit(0.2)));
  CHECK(budget::bill_of(recipe("bill = \"steps\"\n" + family, stops))->logit == Approx(logit(0.1)));
  CHECK_FALSE(budget::bill_of(recipe("bill = \"estimate\"\n" + family, stops)));
}

TEST_CASE("a bill that cannot be says why", "[class_utilisation]") {
  CHECK_THROWS_WITH(budget::bill_of(recipe(kTwoHours)), contains("disclosed.family is missing"));
  const std::string short_one =
      "family = \"x\"\ngpu_hours = { value = 0.1, unit = \"GPU-hour\", tag = \"published\", source = \"test\" }\n";
  CHECK_THROWS_WITH(budget::bill_of(recipe(short_one)), contains("2 times what its GPUs can do"));
  CHECK_THROWS_WITH(recipe("bill = \"guess\"\n"), contains("disclosed.bill"));
}

TEST_CASE("the files of the classes say what the bills say", "[class_utilisation]") {
  const auto bills = budget::shipped_bills();
  for (const char* name : {"large", "text", "media"}) {
    INFO(name);
    const tests::TemporaryFolder folder;
    std::string text = tests::small_scenario("value = 1");
    text.replace(
        text.find("published_mfu"), text.find('\n', text.find("published_mfu")) - text.find("published_mfu"),
        "from = \"" + tests::source_path("configs/published/utilisation/" + std::string(name) + ".toml") + "\"");
    const auto file = budget::load_scenario(folder.write("s.toml", text)).inputs.at("utilisation.published_mfu");
    const auto learned = budget::class_utilisation(bills, name);
    REQUIRE(learned);
    CHECK(file.number.low == Approx(learned->low).margin(0.0005));
    CHECK(file.distribution.median == Approx(learned->median).margin(0.0005));
    CHECK(file.number.high == Approx(learned->high).margin(0.0005));
    CHECK_THAT(file.source,
               contains(std::to_string(learned->bills) + " bills of " + std::to_string(learned->families)));
  }
}

TEST_CASE("large is what has 1,000 devices", "[class_utilisation]") {
  for (const auto& b : budget::shipped_bills()) {
    INFO(b.path);
    CHECK((budget::load_scenario(b.path).at("cost.gpus").low >= 1000) == (b.utilisation_class == "large"));
  }
}
