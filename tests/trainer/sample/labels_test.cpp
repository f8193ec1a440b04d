#include "trainer/sample/labels.h"

#include "tests/catch.h"

using namespace gpumonth;
using gpumonth::tests::contains;

namespace {

using Labels = std::vector<std::int32_t>;

model::ModelConfig classes(int count, double dropout = 0.1) {
  model::ModelConfig m;
  m.num_classes = count;
  m.class_dropout_prob = dropout;
  return m;
}

TEST_CASE("labels are given again and again, or every class in turn") {
  CHECK(trainer::sample_labels("", 5, classes(3)) == Labels{0, 1, 2, 0, 1});
  CHECK(trainer::sample_labels("7", 3, classes(10)) == Labels{7, 7, 7});
  CHECK(trainer::sample_labels("3, null,9", 4, classes(10)) == Labels{3, 10, 9, 3});
}

TEST_CASE("what is no label is refused") {
  for (const char* text : {"10", "-1", "1.5", "cat", "1e9", "3,", "nan"}) {
    CAPTURE(text);
    CHECK_THROWS_WITH(trainer::sample_labels(text, 4, classes(10)), contains("0 to 9 or null"));
  }
  CHECK_THROWS_WITH(trainer::sample_labels("null", 4, classes(10, 0)), contains("no null label"));
  CHECK_THROWS_WITH(trainer::sample_labels("10", 4, classes(10, 0)), contains("0 to 9,") && !contains("null"));
}

}  // namespace
