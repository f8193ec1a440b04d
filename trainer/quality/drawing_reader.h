// Reads a drawing of the procedural set back from a latent: where it stands, how large, which shape, which way, how fast, in
// which colour, of which class. Deterministic, and no network: by comparison with drawings (data/procedural.h).
//
// 1. Channels. A drawing is one pattern times its class's colour, so the latent's (C, n) matrix has rank 1: the pattern is
//    read along the first eigenvector of its channels' covariance, with the sign that makes the shape, the smaller part of
//    the plane, the bright one (positive third moment).
// 2. Start. What stands out from the ground gives the centre (the phase of its first Fourier coefficient, as the plane is a
//    torus), the speed (phase from frame to frame) and the size (area).
// 3. Fit. Of every shape and direction that a class has, the drawing there; those whose correlation with the pattern is within
//    0.1 of the best of their shape are moved and resized until it is largest.
// 4. Class: the largest product of that correlation and the cosine of the class's colour with the eigenvector, which for a
//    latent of rank 1 is the class whose drawing is nearest to it in the Euclidean norm.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "model/config.h"
#include "trainer/data/procedural.h"

namespace gpumonth::trainer {

/// Lengths are shares of the width.
struct Reading {
  double x = 0, y = 0;                     ///< centre in frame 0, in [0, 1)
  double radius = 0;                       ///< half of the extent
  double speed = 0;                        ///< per frame, along the direction; 0 for an image
  std::int32_t label = -1;                 ///< the class; -1: the latent is empty, and everything here is zero
  int shape = -1, direction = -1;          ///< of the best drawing
  std::array<double, kShapes> likeness{};  ///< correlation with the best drawing of each shape; 0: no class has it
  std::vector<double> colour;  ///< (C) mean product with the best drawing: of a true sample about its class's
};

class DrawingReader {
 public:
  /// `class_seed` gave the classes their colours: run.seed of the training.
  DrawingReader(const model::ModelConfig& model, std::uint64_t class_seed);

  /// `latent` (C, [F,] H, W), finite. May be called from several threads.
  Reading read(std::span<const float> latent) const;

  /// A reading as numbers whose distribution is compared (frechet.h): centre as cosine and sine of both coordinates,
  /// radius, the likenesses, direction as cosine and sine, colour, and of clips the velocity.
  std::vector<double> features(const Reading& reading) const;

  std::int64_t channels() const { return channels_; }

 private:
  bool has(int shape, int direction) const { return shape + kShapes * direction < classes_; }
  std::int32_t class_of(std::span<const double> direction, const std::array<double, kShapes * kDirections>& fit) const;

  std::int64_t channels_, frames_, width_;
  std::int32_t classes_;
  std::vector<float> colours_;  // (classes, C)
};

}  // namespace gpumonth::trainer
