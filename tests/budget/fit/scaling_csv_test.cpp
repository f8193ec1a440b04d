#include "budget/scaling_csv.h"

#include <chrono>

#include "base/error.h"
#include "budget/csv.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::budget;
using tests::contains;

TEST_CASE("CSV fields may be quoted", "[csv]") {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> lines;
  parse_csv("\xEF\xBB\xBF# a comment\r\na, b ,c\r\n\n\"1,5\",\"say \"\"hi\"\"\",\"two\nlines\"\n,,\n4,5,6",
            "t.csv", [&](auto fields, std::size_t line) {
              rows.emplace_back(fields.begin(), fields.end());
              lines.push_back(line);
            });
  REQUIRE(rows.size() == 4);
  CHECK(rows[0] == std::vector<std::string>{"a", "b", "c"});
  CHECK(rows[1] == std::vector<std::string>{"1,5", "say \"hi\"", "two\nlines"});
  CHECK(rows[2] == std::vector<std::string>{"", "", ""});
  CHECK(rows[3] == std::vector<std::string>{"4", "5", "6"});
  CHECK(lines == std::vector<std::size_t>{2, 4, 6, 7});
  CHECK(csv_field("a,\"b\"") == "\"a,\"\"b\"\"\"");
}

TEST_CASE("the contract's columns make one sorted curve", "[csv]") {
  const auto curves =
      parse_scaling_csv("samples_per_s,run,ranks,batch_per_rank\n40,x,4,2\n10,y,1,2\n41,z,4,2\n", "t.csv");
  REQUIRE(curves.size() == 1);
  const auto& c = curves.front();
  REQUIRE(c.points.size() == 3);
  CHECK(c.points[0].ranks == 1);
  CHECK(c.points[1].run == "x");
  CHECK(c.points[2].samples_per_s == 41);
  const auto g = groups(c);
  REQUIRE(g.size() == 2);
  CHECK(g[1].samples_per_s == 40.5);
  CHECK(g[1].repeats == 2);
  CHECK(g[1].spread == Approx(0.025));
  const auto again = parse_scaling_csv(to_csv(c), "again.csv");
  CHECK(to_csv(again.front()) == to_csv(c));
  CHECK(to_extrap(c) ==
        "PARAMETER ranks\n\nPOINTS 1 4\n\nREGION t.csv\nMETRIC seconds_per_sample_and_rank\n"
        "DATA 0.1\nDATA 0.1 0.0975609756097561\n");
}

TEST_CASE("a table of many curves", "[csv]") {
  const auto curves = parse_scaling_csv(
      "curve_id,kind,n_acc,batch_per_acc,throughput,throughput_unit,source\n"
      "a,weak,8,,100,images/s,here\nb,\"mixed, odd\",1,2,5,GB/s,there\na,weak,16,,,images/s,here\n",
      "t.csv");
  REQUIRE(curves.size() == 2);
  CHECK(curves[0].points.size() == 1);
  CHECK_FALSE(has_batch(curves[0]));
  REQUIRE(curves[0].notes.size() == 1);
  CHECK_THAT(curves[0].notes[0], contains("line 4 (16 ranks) has no throughput"));
  CHECK(curves[1].kind == "mixed, odd");
  CHECK(curves[1].source == "there");
  CHECK(is_throughput(curves[0].unit));
  CHECK_FALSE(is_throughput(curves[1].unit));
}

TEST_CASE("a wrong table is one line with its place", "[csv]") {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "is empty"},
      {"ranks,samples_per_s\n", "no rows"},
      {"ranks,speed\n1,2\n", "t.csv:1: no column 'samples_per_s'"},
      {"n,samples_per_s\n1,2\n", "no column 'ranks'"},
      {"ranks;samples_per_s\n1;2\n", "separated by commas, not by semicolons"},
      {"ranks,samples_per_s,ranks\n1,2,3\n", "t.csv:1: the column 'ranks' stands there twice"},
      {"ranks,samples_per_s\n1,0\n", "t.csv:2: throughput is 0"},
      {"ranks,samples_per_s\n1,-2\n", "throughput is -2"},
      {"ranks,samples_per_s\n1,nan\n", "throughput is nan"},
      {"ranks,samples_per_s\n1,inf\n", "throughput is inf"},
      {"ranks,samples_per_s\n1,1e999\n", "is not a number"},
      {"ranks,samples_per_s\n1,12x\n", "'12x' is not a number"},
      {"ranks,samples_per_s\n1,\n", "samples_per_s is empty"},
      {"ranks,samples_per_s\n0,1\n", "ranks is 0"},
      {"ranks,samples_per_s\n1.5,1\n", "is not a whole number"},
      {"ranks,samples_per_s\n1,2,3\n", "3 fields where the header names 2"},
      {"ranks,samples_per_s\n1,\"2\n", "never closed"},
      {"ranks,samples_per_s,unit\n1,2,images/s\n2,4,tokens/s\n", "t.csv:3: curve 't.csv' mixes units"},
      {"ranks,samples_per_s,batch_per_rank\n1,2,0\n", "batch_per_rank is 0"},
  };
  for (const auto& [text, message] : wrong) {
    INFO(text);
    CHECK_THROWS_AS(parse_scaling_csv(text, "t.csv"), UserError);
    try {
      parse_scaling_csv(text, "t.csv");
    } catch (const UserError& error) {
      CHECK_THAT(error.what(), contains(message));
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
  const auto partly = parse_scaling_csv("ranks,samples_per_s,batch_per_rank\n1,2,4\n2,4,\n", "t.csv").front();
  CHECK_THROWS_WITH(check(partly), contains("1 of 2 points do not say their batch"));
}

TEST_CASE("a million rows are read in seconds", "[csv]") {
  std::string text = "ranks,samples_per_s,run\n";
  for (int i = 0; i < 1000000; ++i) text += std::to_string(1 << (i % 10)) + ",12345.678,\"run, 1\"\n";
  const auto start = std::chrono::steady_clock::now();
  const auto curves = parse_scaling_csv(text, "big.csv");
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  CHECK(curves.front().points.size() == 1000000);
  CHECK(spent.count() < 10);  // 0.3 s on a quiet core; the bound catches what is quadratic
}
