// What a declared table says: resolved TOML that reads back bit for bit, help, nearest words.
#include <bit>
#include <limits>
#include <random>

#include "base/config.h"
#include "tests/catch.h"

using namespace gpumonth;

namespace {

struct All {
  std::string from = "somewhere.toml", text = "x";
  int small = 1;
  std::int64_t big = 1;
  std::uint64_t seed = 1;
  double number = 1, unset = std::numeric_limits<double>::quiet_NaN();
  bool on = false;

  config::Table declare() {
    config::Table root;
    root.field("number", number, {.unit = "s", .min = -1e308, .help = "any"});
    config::Table& t = root.table("a").table("b");
    t.field("from", from);
    t.field("text", text, {.help = "a name"});
    t.field("small", small, {.min = -5, .max = 5});
    t.field("big", big);
    t.field("seed", seed);
    t.field("unset", unset, {.unit = "W"});
    t.field("on", on);
    return root;
  }
};

All round_trip(All& original, bool with_help) {
  const auto root = original.declare();
  All copy;
  auto table = copy.declare();
  config::load_text(table, config::to_toml(root, with_help), "resolved");
  return copy;
}

}  // namespace

TEST_CASE("to_toml reads back to the same values, with and without help") {
  const bool with_help = GENERATE(false, true);
  All a;
  a.text = GENERATE("", "plain", "a \"b\" \\ c # d", "line\nbreak\ttab\x01\x7f", "caf\xc3\xa9", "[x]\ny = 1");
  a.small = -5;
  a.big = std::numeric_limits<std::int64_t>::min();
  a.seed = std::numeric_limits<std::uint64_t>::max();
  a.on = true;
  const All b = round_trip(a, with_help);
  CHECK(b.text == a.text);
  CHECK(b.small == -5);
  CHECK(b.big == a.big);
  CHECK(b.seed == a.seed);
  CHECK(b.on);
}

TEST_CASE("doubles read back bit for bit") {
  std::mt19937_64 random(7);
  std::vector<double> values = {
      0.0, -0.0, 1.0, 100.0, 1e16, 1e22, 1e-4, 0.1, 5e-324, 1.7976931348623157e308, 9007199254740993.0};
  while (values.size() < 2000) {
    const auto value = std::bit_cast<double>(random());
    if (std::isfinite(value) && value > -1e308) values.push_back(value);
  }
  for (const double value : values) {
    All a;
    a.number = value;
    REQUIRE(std::bit_cast<std::uint64_t>(round_trip(a, false).number) == std::bit_cast<std::uint64_t>(value));
  }
}

TEST_CASE("`from` and unset numbers are comments: the resolved values stand below") {
  All a;
  const std::string text = config::to_toml(a.declare());
  CHECK_THAT(text, tests::contains("# from = \"somewhere.toml\"\n"));
  CHECK_THAT(text, tests::contains("# unset = nan\n"));
  CHECK_THAT(text, tests::contains("number = 1.0\n\n[a.b]\n"));
}

TEST_CASE("help names key, default, unit, range and help") {
  All a;
  const std::string help = config::help_text(a.declare());
  CHECK_THAT(help, tests::contains("# s, >= -1e+308: any\n"));
  CHECK_THAT(help, tests::contains("small = 1"));
  CHECK_THAT(help, tests::contains("# -5 .. 5\n"));
  CHECK_THAT(help, tests::contains("# a name\n"));
}

TEST_CASE("nearest finds typos and leaves strangers alone") {
  const std::vector<std::string> words = {"train", "flops", "budget", "report"};
  CHECK(config::nearest("trian", words) == "train");
  CHECK(config::nearest("flop", words) == "flops");
  CHECK(config::nearest("Budget", words) == "budget");
  CHECK(config::nearest("zzzzz", words).empty());
  CHECK(config::nearest("x", {"y"}).empty());
  CHECK(config::nearest("anything", {}).empty());
}
