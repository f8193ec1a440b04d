#include "scaling/table_numbers.h"

#include "base/error.h"
#include "tests/catch.h"

using namespace gpumonth;
using scaling::TableNumbers;
using tests::contains;

namespace {

/// The first cell's number in a file that has the others too, in a column of throughput.
std::optional<double> read(const std::string& cell, const std::vector<std::string>& others = {}) {
  TableNumbers numbers("t.csv");
  numbers.see(cell, false, 2);
  std::size_t line = 3;
  for (const auto& other : others) numbers.see(other, false, line++);
  return numbers.value(cell, false, 2);
}

std::optional<double> count(const std::string& cell) {
  TableNumbers numbers("t.csv");
  numbers.see(cell, true, 2);
  return numbers.value(cell, true, 2);
}

}  // namespace

TEST_CASE("commas and points are read where they can be read in one way", "[csv]") {
  const std::pair<const char*, double> cells[] = {{"100.5", 100.5},
                                                  {"100,5", 100.5},
                                                  {"1,234.5", 1234.5},
                                                  {"1.234,5", 1234.5},
                                                  {"1,234,567", 1234567},
                                                  {"1.234.567", 1234567},
                                                  {"0,125", 0.125},
                                                  {"0.125", 0.125},
                                                  {"1.024", 1.024},
                                                  {"1,5e3", 1500},
                                                  {"1.96e+02", 196},
                                                  {"+5", 5},
                                                  {"1 234,5", 1234.5},
                                                  {"1\xC2\xA0"
                                                   "234",
                                                   1234},
                                                  {"12'345.5", 12345.5},
                                                  {"1\xE2\x80\xAF"
                                                   "024",
                                                   1024},
                                                  {"1.0000000e+00", 1},
                                                  {"-1,5", -1.5}};
  for (const auto& [cell, value] : cells) {
    INFO(cell);
    CHECK(read(cell) == value);
  }
}

TEST_CASE("the rest of the file tells what a comma means", "[csv]") {
  CHECK(read("1,024", {"7.5"}) == 1024);
  CHECK(read("1,024", {"7,5"}) == 1.024);
  CHECK(read("1.024", {"7,5"}) == 1024);
  CHECK(read("1.024", {"7"}) == 1.024);
  CHECK_THROWS_WITH(read("1,024"), contains("t.csv:2: '1,024' can be 1024 or 1.024"));
  CHECK_THROWS_WITH(read("1,024", {"512", "98,000"}), contains("write it without the comma"));
  CHECK_THROWS_WITH(read("7.5", {"7,5"}), contains("t.csv:3: '7,5' and '7.5' on line 2 do not go together"));
}

TEST_CASE("a count is a whole number, which tells as well", "[csv]") {
  CHECK(count("1,024") == 1024);
  CHECK(count("1.024") == 1024);
  CHECK(count("1.000") == 1);  // as printf("%.3f") writes it
  CHECK(count("008") == 8);
  CHECK_THROWS_WITH(count("1,000"), contains("can be 1000 or 1"));
}

TEST_CASE("what is no number stays none", "[csv]") {
  for (const char* cell : {"", "nan", "inf", "0x10", "1e400", "12x", "1,2,3", "1,23,456", "1.2.3", ",", ".", "1 2",
                           "--5", "1,234.567,8", "5 tokens/s", "50 %"}) {
    INFO(cell);
    CHECK_FALSE(read(cell).has_value());
  }
  CHECK_THROWS_WITH(read("024"), contains("cut at a comma"));
}
