// The procedural set's drawings: what a class and an index decide, and how that is drawn; for who reads drawings back
// (quality/drawing_reader.h), and the samples that no training sees. data.h makes the set itself.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "trainer/data/data.h"

namespace gpumonth::trainer {

constexpr const char* kProceduralContents = "procedural shapes";  ///< DatasetIdentity::contents of the set

constexpr int kShapes = 4;      ///< disc, square, ring, bar
constexpr int kDirections = 8;  ///< d x 45 degrees

inline int shape_of(std::int32_t label) { return label % kShapes; }
inline int direction_of(std::int32_t label) { return label / kShapes % kDirections; }

/// What is drawn. Lengths in latent pixels; the plane is a torus.
struct Scene {
  std::int32_t label;
  float x, y, radius;          ///< centre in frame 0, half of the extent
  float speed;                 ///< pixels per latent frame
  float wave_x, wave_y;        ///< periods of the background wave over the width: 0, 1 or 2
  float wave_phase;            ///< in [0, 1)
  float heading_x, heading_y;  ///< unit vector of the class's direction
};

/// The heading of scene.label.
void set_heading(Scene& scene);

/// Shape and background wave before they are brought to mean 0 and variance 1: (frames, width, width).
void draw_pattern(const Scene& scene, std::int64_t frames, std::int64_t width, float* pattern);

/// The class's weights over the channels (C), root mean square 1: the colour of its drawings.
void class_signature(std::uint64_t class_seed, std::int32_t label, std::span<float> signature);

/// Drawings that no training sees, whatever its seed: their indices lie beyond those of the set. The same scenes for
/// every `class_seed`, the seed of the training, which gives the classes their colours alone.
std::unique_ptr<Dataset> make_held_out_dataset(const model::ModelConfig& model, std::uint64_t class_seed);

}  // namespace gpumonth::trainer
