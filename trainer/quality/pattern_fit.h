// A pattern of one channel against drawings of the procedural set: which drawing of a shape and direction is most like it.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/data/procedural.h"

namespace gpumonth::trainer {

/// One plane over time: (F, W, W), mean 0 and variance 1.
struct Pattern {
  std::vector<float> values;
  std::int64_t frames = 1, width = 1;
};

/// What a pattern shows at first sight. In pixels.
struct FirstSight {
  double x = 0, y = 0;    ///< centre in frame 0
  double vx = 0, vy = 0;  ///< pixels per frame
  double area = 0;        ///< of a frame
};
FirstSight look_at(const Pattern& pattern);

/// A drawing and how like the pattern it is.
struct FittedScene {
  Scene scene{};
  double correlation = 0;
};

/// The drawing of shape and direction that `sight` suggests.
FittedScene start_of(const Pattern& pattern, const FirstSight& sight, int shape, int direction);
/// The same drawing moved, resized and, in a clip, made faster or slower, until no small change makes it more alike.
FittedScene refined(const Pattern& pattern, FittedScene fit);
/// The drawing as a pattern.
Pattern drawn(const Scene& scene, std::int64_t frames, std::int64_t width);

}  // namespace gpumonth::trainer
