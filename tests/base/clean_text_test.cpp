#include "base/clean_text.h"

#include <iconv.h>

#include <cstdint>
#include <cstring>
#include <random>

#include "base/json.h"
#include "tests/catch.h"

using namespace gpumonth;

namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

/// The C library's opinion. UCS-4LE is built into glibc, where UTF-32 is a module that a machine may lack; it lets through what
/// are no characters of Unicode: surrogates, and what is above the last one.
bool is_valid_utf8(const std::string& text) {
  const iconv_t converter = iconv_open("UCS-4LE", "UTF-8");
  REQUIRE(converter != reinterpret_cast<iconv_t>(-1));
  std::string copy = text, out(4 * text.size() + 4, '\0');
  char *from = copy.data(), *to = out.data();
  std::size_t left = copy.size(), room = out.size();
  bool valid = iconv(converter, &from, &left, &to, &room) != static_cast<std::size_t>(-1) && left == 0;
  iconv_close(converter);
  for (const char* at = out.data(); at != to; at += 4) {
    std::uint32_t character = 0;
    std::memcpy(&character, at, sizeof character);
    valid = valid && character <= 0x10ffff && !(character >= 0xd800 && character <= 0xdfff);
  }
  return valid;
}

std::string replacements(const std::string& with_question_marks) {
  std::string out;
  for (const char c : with_question_marks) out += c == '?' ? kReplacement : std::string(1, c);
  return out;
}

}  // namespace

TEST_CASE("clean text: what is valid and visible stays as it is") {
  for (const std::string text :
       {"", "plain text, 50 % of it\n\tindented\n", "Grüße — 模型 — ж", "\xF0\x9F\x98\x80", "\xEF\xBF\xBD"})
    CHECK(clean_text(text) == text);
}

TEST_CASE("clean text: the Unicode Standard's own examples of ill-formed sequences") {
  // Tables 3-8 to 3-11 of section 3.9
  CHECK(clean_text("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
                   "A") == replacements("????????A"));
  CHECK(clean_text("\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
                   "A") == replacements("????????A"));
  CHECK(clean_text("\xF4\x91\x92\x93\xFF"
                   "A\x80\xBF"
                   "B") == replacements("?????A??B"));
  CHECK(clean_text("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF"
                   "A") == replacements("????A"));
}

TEST_CASE("clean text: no control reaches a terminal") {
  CHECK(clean_text("a\x1b[31mred\x07\b\r\x7f.") == replacements("a?[31mred????."));
  CHECK(clean_text(std::string("nul\0l", 5)) == replacements("nul?l"));
  CHECK(clean_text("\xC2\x9B"
                   "2J") == replacements("?2J"));  // CSI as one C1 control
  CHECK(clean_text("gpj.\xE2\x80\xAE"
                   "exe") == replacements("gpj.?exe"));  // right-to-left override
  CHECK(clean_text("\xE2\x81\xA6\xD8\x9C\xE2\x80\xA8") == replacements("???"));
  CHECK(clean_line("two\nlines\tand a tab") == "two lines and a tab");
}

TEST_CASE("clean text: any bytes become valid UTF-8, and cleaning again changes nothing") {
  std::mt19937 random(20261201);
  // bytes around the borders of table 3-7, so that sequences nearly succeed
  const std::string bytes = "aZ\n\x7f\x80\x8f\x90\x9f\xa0\xbf\xc1\xc2\xdf\xe0\xe2\xed\xef\xf0\xf4\xf5\xff";
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t n = random() % 12; n > 0; --n) text += bytes[random() % bytes.size()];
    const std::string clean = clean_text(text);
    INFO(i);
    REQUIRE(is_valid_utf8(clean));
    REQUIRE(clean_text(clean) == clean);
    REQUIRE((is_valid_utf8(text) || clean.find(kReplacement) != std::string::npos));
  }
}

TEST_CASE("clean text: characters are counted, not bytes") {
  CHECK(character_count("") == 0);
  CHECK(character_count("abc") == 3);
  CHECK(character_count("Grüße") == 5);
  CHECK(character_count(kReplacement) == 1);
}

TEST_CASE("JSON text is valid UTF-8 whatever a name holds") {
  const std::string text = to_text(Json{{"path", "run\xff/\x1b[2J\xC2\x9B"}});
  CHECK(is_valid_utf8(text));
  CHECK(text == "{\n  \"path\": \"run" + kReplacement + "/\\u001b[2J" + kReplacement + "\"\n}\n");
}
