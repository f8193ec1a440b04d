#include "base/json.h"

#include <limits>

#include "tests/catch.h"

using namespace gpumonth;

TEST_CASE("what is not finite is left out and noted") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  Json object, notes = Json::array();
  set_if_finite(object, "a", 1.5, notes);
  set_if_finite(object, "b", nan, notes, "no peak for this device");
  set_if_finite(object, "c", -inf, notes);
  CHECK(object.size() == 1);
  CHECK(object["a"] == 1.5);
  CHECK(notes == Json::array({"b: no peak for this device", "c: unknown"}));
}

TEST_CASE("text keeps the order of keys and refuses nan, inf and null anywhere") {
  CHECK(to_text(Json{{"z", 1}, {"a", true}}) == "{\n  \"z\": 1,\n  \"a\": true\n}\n");
  const Json inside = {{"rows", Json::array({1.0, std::numeric_limits<double>::infinity()})}};
  CHECK_THROWS_WITH(to_text(inside), "JSON output: /rows/1 is null, nan or inf");
  CHECK_THROWS_WITH(to_text(Json{{"x", nullptr}}), "JSON output: /x is null, nan or inf");
}
