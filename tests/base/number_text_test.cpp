#include "base/number_text.h"

#include "base/error.h"
#include "tests/catch.h"

using namespace gpumonth;
using tests::contains;

TEST_CASE("decimal numbers are read, and nothing else", "[number]") {
  for (const auto& [text, value] : std::vector<std::pair<const char*, double>>{
           {"5", 5}, {" +1.5e3 ", 1500}, {"-2", -2}, {".5", 0.5}, {"1e-300", 1e-300}})
    CHECK(parse_number(text) == value);
  for (const char* text :
       {"", " ", "+", "0x10", "nan", "inf", "-inf", "1e400", "1,5", "1 000", "5 GPU", "1..2", "e5", "+-5",
        "\xC2\xA0"
        "5"}) {
    INFO(text);
    CHECK_FALSE(parse_number(text).has_value());
  }
}

TEST_CASE("a list is split at commas between numbers", "[number]") {
  CHECK(split_list("512, 1024", "--gpus") == std::vector<std::string_view>{"512", "1024"});
  CHECK(split_list("7", "--gpus") == std::vector<std::string_view>{"7"});
  CHECK(split_list("1,,2", "--gpus") == std::vector<std::string_view>{"1", "", "2"});
  CHECK(split_list("0.5,0", "--x") == std::vector<std::string_view>{"0.5", "0"});
  CHECK_THROWS_WITH(split_list("1,024", "--gpus"), contains("--gpus 1,024: ") && contains("write 1024"));
  CHECK_THROWS_WITH(split_list("512,1,024:4", "--predict"), contains("write 1024:4"));
  CHECK_THROWS_AS(split_list("1,000", "--gpus"), UserError);
}

TEST_CASE("two numbers that could be one with a comma get a note", "[number]") {
  for (const char* list : {"16,384", "8,192", "10,752", "65,536", "16,384:4"}) {
    INFO(list);
    CHECK_THAT(note_on_thousands(list, "--gpus"), contains("two numbers") && contains("without a comma"));
  }
  for (const char* list : {"", "512", "64,512", "64,512:4", "512,1024", "512,1", "1024,512", "1.5,384", "0,384"}) {
    INFO(list);
    CHECK(note_on_thousands(list, "--gpus").empty());
  }
}
