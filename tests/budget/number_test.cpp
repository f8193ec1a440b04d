#include "budget/inputs/number.h"

#include "base/format.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::budget;

namespace {

Number input(const std::string& name, double low, double high, Tag tag) {
  Number n;
  n.low = low;
  n.high = high;
  n.tag = tag;
  n.inputs = {name};
  return n;
}

}  // namespace

TEST_CASE("ranges multiply end by end and divide crosswise", "[number]") {
  const Number a = input("a", 2, 3, Tag::published), b = input("b", 4, 5, Tag::measured);
  CHECK((a * b).low == 8);
  CHECK((a * b).high == 15);
  CHECK((a / b).low == 2.0 / 5);
  CHECK((a / b).high == 3.0 / 4);
  CHECK((b - a).low == 1);
  CHECK((b - a).high == 3);
  CHECK((a + b).high == 8);
}

TEST_CASE("a result carries every input once and the weakest tag", "[number]") {
  const Number a = input("a", 1, 1, Tag::published), b = input("b", 1, 1, Tag::assumed);
  const Number c = a * a / b * exactly(86400);
  CHECK(c.inputs == std::vector<std::string>{"a", "b"});
  CHECK(c.tag == Tag::assumed);
  CHECK((a * exactly(2)).tag == Tag::published);
  CHECK((input("m", 1, 1, Tag::measured) * exactly(1)).tag == Tag::measured);
}

TEST_CASE("numbers read as people write them", "[format]") {
  CHECK(compact(15.272e6) == "15.3 M");
  CHECK(compact(124583.3) == "124.6 k");
  CHECK(compact(996666.7) == "997 k");
  CHECK(compact(89e3) == "89 k");
  CHECK(compact(14.95e6) == "14.95 M");
  CHECK(compact(5.035) == "5.04");
  CHECK(compact(999.96e6) == "1 G");
  CHECK(money(1.53e9) == "1.53 bn");
  CHECK(money(382.8e6) == "383 M");
  CHECK(money(15640) == "15,600");
  CHECK(axis_text(0.5) == "0.5");
  CHECK(axis_text(10000) == "10,000");
  CHECK(three_digits(382858) == "383,000");
  CHECK(three_digits(1581) == "1,580");
  CHECK(three_digits(57.52) == "57.5");
  CHECK(compact(0) == "0");
  CHECK(grouped(4211.3) == "4,211");
  CHECK(grouped(1234567) == "1,234,567");
  CHECK(grouped(0.39) == "0.390");
  CHECK(scientific(1e21) == "1e21");
  CHECK(scientific(7.074e17) == "7.07e17");
  CHECK(scientific(9.999e17) == "1e18");
  CHECK(percent(0.48) == "48 %");
  CHECK(percent(0.0507) == "5.1 %");
  CHECK(range_text(input("a", 4, 10, Tag::published), compact) == "4 .. 10");
  CHECK(range_text(Number{}, compact) == "unknown");
  CHECK(wrap("aa bb cc", 5) == std::vector<std::string>{"aa bb", "cc"});
}
