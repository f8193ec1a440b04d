#include "scaling/curve_csv.h"

#include <chrono>

#include "base/error.h"
#include "scaling/csv.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::scaling;
using namespace gpumonth::scaling;
using tests::contains;

namespace {

struct Rows {
  std::vector<std::vector<std::string>> fields;
  std::vector<std::size_t> lines;
};

Rows rows_of(const std::string& bytes, char separator = ',') {
  const std::string name = "t.csv", text = plain_text(bytes, name);
  CsvReader reader(text, name, separator);
  Rows rows;
  std::vector<std::string_view> fields;
  for (std::size_t line = 0; reader.next(fields, line);) {
    rows.fields.emplace_back(fields.begin(), fields.end());
    rows.lines.push_back(line);
  }
  return rows;
}

/// `text`, which is ASCII, in UTF-16 with its mark.
std::string utf16(const std::string& text, bool big_endian) {
  std::string bytes = big_endian ? "\xFE\xFF" : "\xFF\xFE";
  for (const char c : text) bytes += big_endian ? std::string{'\0', c} : std::string{c, '\0'};
  return bytes;
}

std::string message_of(const std::string& text) {
  try {
    check(parse_scaling_csv(text, "t.csv").front());
  } catch (const UserError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("CSV fields may be quoted", "[csv]") {
  const auto rows =
      rows_of("\xEF\xBB\xBF# a comment\r\na, b ,c\r\n\n\"1,5\",\"say \"\"hi\"\"\",\"two\nlines\"\n,,\n4,5,6");
  REQUIRE(rows.fields.size() == 4);
  CHECK(rows.fields[0] == std::vector<std::string>{"a", "b", "c"});
  CHECK(rows.fields[1] == std::vector<std::string>{"1,5", "say \"hi\"", "two\nlines"});
  CHECK(rows.fields[2] == std::vector<std::string>{"", "", ""});
  CHECK(rows.fields[3] == std::vector<std::string>{"4", "5", "6"});
  CHECK(rows.lines == std::vector<std::size_t>{2, 4, 6, 7});
  CHECK(csv_field("a,\"b\"") == "\"a,\"\"b\"\"\"");
  CHECK(csv_field(" a") == "\" a\"");
}

TEST_CASE("other separators", "[csv]") {
  using Fields = std::vector<std::vector<std::string>>;
  CHECK(rows_of("a\t\tb c\n1\t2\t\n", '\t').fields == Fields{{"a", "", "b c"}, {"1", "2", ""}});
  CHECK(rows_of("  a   b\t c  \n1 2 3\n", ' ').fields == Fields{{"a", "b", "c"}, {"1", "2", "3"}});
  CHECK(rows_of("\"a;b\";c\r1;2\r", ';').fields == Fields{{"a;b", "c"}, {"1", "2"}});
}

TEST_CASE("what spreadsheets and numpy make of a table is the same table", "[csv]") {
  const std::string plain = "ranks,samples_per_s\n1,100\n2,196.5\n8,744.25\n";
  const std::pair<const char*, std::string> exports[] = {
      {"plain", plain},
      {"UTF-16, little end", utf16(plain, false)},
      {"UTF-16, big end", utf16(plain, true)},
      {"UTF-16 with tabs, Excel's Unicode text",
       utf16("ranks\tsamples_per_s\r\n1\t100\r\n2\t196,5\r\n8\t744,25\r\n", false)},
      {"UTF-8 mark", "\xEF\xBB\xBF" + plain},
      {"CR", "ranks,samples_per_s\r1,100\r2,196.5\r8,744.25"},
      {"CR LF", "ranks,samples_per_s\r\n1,100\r\n2,196.5\r\n8,744.25\r\n"},
      {"empty rows and columns", "ranks,samples_per_s,,\n1,100,,\n2,196.5,,\n8,744.25,,\n,,,\n,,,\n"},
      {"sep=,", "sep=,\n" + plain},
      {"sep=; quoted", "\"sep=;\"\nranks;samples_per_s\n1;100\n2;196,5\n8;744,25\n"},
      {"semicolons, decimal commas", "ranks;samples_per_s\n1;100,0\n2;196,5\n8;744,25\n"},
      {"semicolons, all quoted", "\"ranks\";\"samples_per_s\"\n\"1\";\"100\"\n\"2\";\"196,5\"\n\"8\";\"744,25\"\n"},
      {"semicolons at the end", "ranks;samples_per_s;\n1;100;\n2;196,5;\n8;744,25;\n"},
      {"tabs", "ranks\tsamples_per_s\n1\t100\n2\t196.5\n8\t744.25\n"},
      {"savetxt",
       "# ranks samples_per_s\n1.000000e+00 1.000000e+02\n2.000000e+00 1.965000e+02\n8.000000e+00 "
       "7.442500e+02\n"},
      {"savetxt with commas",
       "# made by me\n# ranks,samples_per_s\n1.0e+00,1.0e+02\n2.0e+00,1.965e+02\n8.0e+00,7.4425e+02\n"},
      {"header without numbers behind #", "# GPUs,throughput\n1,100\n2,196.5\n8,744.25\n"},
      {"blanks and blank lines", "\n ranks , samples_per_s \n\n 1 , 100\n  2 ,196.5\n\n8, 744.25  \n"},
      {"upper case", "Ranks,Samples_Per_S\n1,100\n2,196.5\n8,744.25\n"},
      {"people's names", "Number of GPUs,Throughput (samples/s)\n1,100\n2,196.5\n8,744.25\n"},
      {"pipes", "ranks|samples_per_s\n1|100\n2|196.5\n8|744.25\n"}};
  for (const auto& [what, text] : exports) {
    INFO(what);
    const auto curves = parse_scaling_csv(text, "t.csv");
    REQUIRE(curves.size() == 1);
    check(curves[0]);
    CHECK(to_csv(curves[0]) == "ranks,samples_per_s,run\n1,100,\n2,196.5,\n8,744.25,\n");
    CHECK(curves[0].notes.empty());
  }
}

TEST_CASE("a file that is no table is named", "[csv]") {
  CHECK_THAT(message_of("PK\x03\x04 rest"), contains("workbook"));
  CHECK_THAT(message_of("\x89HDF\r\n"), contains("HDF5"));
  CHECK_THAT(message_of("\x1F\x8B rest"), contains("gzip"));
  CHECK_THAT(message_of(utf16("ranks,samples_per_s\n1,2\n", false).substr(2)), contains("UTF-16 without its mark"));
}

TEST_CASE("following the words of an error leads on", "[csv]") {
  // No names: the order proposed is that of the columns, and never puts ranks and throughput the wrong way round.
  for (const std::string names : {"ranks,samples_per_s", "samples_per_s,ranks"}) {
    const bool ranks_first = names.starts_with("ranks");
    for (const std::vector<std::pair<std::string, std::string>>& points :
         {std::vector<std::pair<std::string, std::string>>{{"1", "100.5"}, {"3", "290.25"}, {"6", "560"}},
          {{"1", "100"}, {"2", "196"}, {"4", "384"}}}) {
      std::string rows;
      for (const auto& [n, x] : points) rows += ranks_first ? n + "," + x + "\n" : x + "," + n + "\n";
      INFO(rows);
      CHECK_THAT(message_of(rows), contains("t.csv:1: no line names the columns") && contains('"' + names + '"'));
      CHECK(message_of(names + "\n" + rows) == "no error");
    }
  }
  CHECK_THAT(message_of("1,2\n2,4\n"), contains("one 'ranks' with the number of ranks"));  // both could be
  CHECK_THAT(message_of("100,1,2\n"), contains("one 'ranks' with the number of ranks"));
  // A time or a share must not be renamed to a throughput.
  CHECK_THAT(message_of("ranks,hours\n1,8\n8,1\n"),
             contains("no column 'samples_per_s' among ranks, hours") && contains("no time"));
  CHECK_THAT(message_of("nodes,samples_per_s\n1,8\n"), contains("no column 'ranks'") && contains("(GPUs)"));
  // A comma between thousands, in quotes as the message says.
  CHECK_THAT(message_of("ranks,samples_per_s\n512,50\n1,024,98\n"), contains("quote a field"));
  CHECK(message_of("ranks,samples_per_s\n512,50\n\"1,024\",98\n") == "no error");
  CHECK_THAT(message_of("sep=;\nranks,samples_per_s\n1,2\n"), contains("drop that line"));
  CHECK_THAT(message_of("ranks,samples_per_s,batch_per_rank\n1,024,98000\n"), contains("cut at a comma"));
  CHECK_THAT(message_of("ranks,samples_per_s,run\n1,2\n"), contains("leave a field empty"));
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
  CHECK_THROWS_WITH(check(curves[1]), contains("GB/s is a bandwidth"));
}

TEST_CASE("a wrong table is one line with its place", "[csv]") {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "is empty"},
      {"ranks,samples_per_s\n", "no rows"},
      {"ranks,speed\n1,2\n", "t.csv:1: no column 'samples_per_s'"},
      {"n,samples_per_s\n1,2\n", "no column 'ranks'"},
      {"ranks,samples_per_s,ranks\n1,2,3\n", "t.csv:1: the column 'ranks' stands there twice"},
      {"ranks,samples_per_s\n1,0\n", "t.csv:2: throughput is 0"},
      {"ranks,samples_per_s\n1,-2\n", "throughput is -2"},
      {"ranks,samples_per_s\n1,nan\n", "throughput 'nan' is not a number"},
      {"ranks,samples_per_s\n1,inf\n", "throughput 'inf' is not a number"},
      {"ranks,samples_per_s\n1,1e999\n", "is not a number"},
      {"ranks,samples_per_s\n1,12x\n", "'12x' is not a number"},
      {"ranks,samples_per_s\n1,\n", "samples_per_s is empty"},
      {"ranks,samples_per_s\n0,1\n", "ranks is 0"},
      {"ranks,samples_per_s\n,1\n", "ranks is empty"},
      {"ranks,samples_per_s\n1,0x10\n", "'0x10' is not a number"},
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
