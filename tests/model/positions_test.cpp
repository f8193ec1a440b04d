#include "model/positions.h"

#include <cmath>

#include "base/error.h"
#include "tests/catch.h"

namespace gpumonth::model {
namespace {

ModelConfig config(int input, int patch, int hidden, int frames = 1, int temporal_patch = 1) {
  ModelConfig m;
  m.input_size = input;
  m.patch_size = patch;
  m.hidden_size = hidden;
  m.frames = frames;
  m.temporal_patch_size = temporal_patch;
  return m;
}

double angle(double position, int i, int half) { return position / std::pow(10000.0, double(i) / half); }

TEST_CASE("image positions: x sines, x cosines, y sines, y cosines") {
  const auto m = config(12, 4, 24);
  const auto e = position_embedding(m);
  REQUIRE(position_embedding_shape(m) == std::vector<std::int64_t>{1, 9, 24});
  REQUIRE(e.size() == 9 * 24);
  for (int y = 0; y < 3; ++y) {
    for (int x = 0; x < 3; ++x) {
      const float* row = e.data() + (y * 3 + x) * 24;
      for (int i = 0; i < 6; ++i) {
        CAPTURE(x, y, i);
        REQUIRE(row[i] == static_cast<float>(std::sin(angle(x, i, 6))));
        REQUIRE(row[6 + i] == static_cast<float>(std::cos(angle(x, i, 6))));
        REQUIRE(row[12 + i] == static_cast<float>(std::sin(angle(y, i, 6))));
        REQUIRE(row[18 + i] == static_cast<float>(std::cos(angle(y, i, 6))));
      }
    }
  }
}

TEST_CASE("video positions: time first, then the image's in the rest") {
  const auto m = config(8, 2, 48, 6, 2);  // 3 x 4 x 4 tokens; 12 values for time, 36 for space
  const auto e = position_embedding(m), space = position_embedding(config(8, 2, 36));
  REQUIRE(e.size() == 48 * 48);
  for (int t = 0; t < 3; ++t) {
    for (int s = 0; s < 16; ++s) {
      const float* row = e.data() + (t * 16 + s) * 48;
      for (int i = 0; i < 6; ++i) {
        REQUIRE(row[i] == static_cast<float>(std::sin(angle(t, i, 6))));
        REQUIRE(row[6 + i] == static_cast<float>(std::cos(angle(t, i, 6))));
      }
      for (int i = 0; i < 36; ++i) REQUIRE(row[12 + i] == space[static_cast<std::size_t>(s * 36 + i)]);
    }
  }
}

TEST_CASE("a width that sin-cos cannot fill is the user's mistake") {
  CHECK_THROWS_AS(position_embedding(config(8, 2, 30)), UserError);
  CHECK_THROWS_AS(position_embedding(config(8, 2, 34, 4, 2)), UserError);  // 34 - 8 = 26
}

}  // namespace
}  // namespace gpumonth::model
