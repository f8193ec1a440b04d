// Moving shapes drawn straight in latent space: one pattern in space and time, times the class's channel signature.
#include "trainer/data/procedural.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "trainer/ops/math.h"
#include "trainer/ops/random.h"

namespace gpumonth::trainer {
namespace {

constexpr std::int64_t kSamples = std::int64_t{1} << 40;
constexpr std::uint32_t kSignatureElement = 1u << 20;  // beyond every draw of a sample
constexpr std::uint64_t kHeldOutSeed = 20240215;       // of the scenes that no training sees

float uniform(std::uint32_t bits, float low, float high) { return low + (high - low) * ops::uniform01(bits); }

Scene draw_scene(std::uint64_t seed, std::int64_t index, std::int32_t classes, float width) {
  const auto low = static_cast<std::uint32_t>(index), high = static_cast<std::uint32_t>(index >> 32);
  const ops::Random4 a = ops::philox(seed, high, low, ops::Purpose::shapes, 0),
                     b = ops::philox(seed, high, low, ops::Purpose::shapes, 1);
  Scene s{};
  s.label = static_cast<std::int32_t>((std::uint64_t{a.v[0]} * static_cast<std::uint64_t>(classes)) >> 32);
  s.x = uniform(a.v[1], 0, width);
  s.y = uniform(a.v[2], 0, width);
  s.radius = uniform(a.v[3], 0.22f, 0.34f) * width;
  s.speed = uniform(b.v[0], 0.02f, 0.06f) * width;
  s.wave_x = static_cast<float>(b.v[1] % 3);
  s.wave_y = static_cast<float>(b.v[2] % 3);
  s.wave_phase = ops::uniform01(b.v[3]);
  set_heading(s);
  return s;
}

/// Signed distance to the edge of shape `kind` at (u, v): u along the heading, in units of the radius.
template <int kind>
float signed_distance(float u, float v) {
  if constexpr (kind == 0) return std::sqrt(u * u + v * v) - 1.0f;                    // disc
  if constexpr (kind == 1) return std::max(std::abs(u), std::abs(v)) - 0.85f;         // square
  if constexpr (kind == 2) return std::abs(std::sqrt(u * u + v * v) - 0.75f) - 0.3f;  // ring
  return std::max(std::abs(u) - 1.2f, std::abs(v) - 0.5f);                            // bar
}

/// One line of one frame. The plane is a torus, so that a shape is whole wherever it stands.
template <int kind>
void draw_line(const Scene& s, float centre_x, float dy, float row_phase, std::int64_t width, float* line) {
  const float w = static_cast<float>(width), inverse_radius = 1.0f / s.radius;
  const float edge = s.radius / 1.5f;  // 1 / (edge width in radii): the edge is 1.5 pixels wide
#pragma omp simd
  for (int x = 0; x < static_cast<int>(width); ++x) {
    float dx = static_cast<float>(x) - centre_x;
    dx -= w * std::floor(dx / w + 0.5f);
    const float u = (dx * s.heading_x + dy * s.heading_y) * inverse_radius;
    const float v = (dy * s.heading_x - dx * s.heading_y) * inverse_radius;
    float coverage = 0.5f - signed_distance<kind>(u, v) * edge;  // anti-aliased
    coverage = coverage < 0.0f ? 0.0f : coverage;
    coverage = coverage > 1.0f ? 1.0f : coverage;
    float phase = row_phase + s.wave_x * static_cast<float>(x) / w, wave, unused;
    phase -= std::floor(phase);
    ops::fast_sincos_2pi(phase, &wave, &unused);
    line[x] = coverage * (1.0f + 0.35f * u) + 0.08f * wave;  // brighter ahead: an image shows its direction too
  }
}

template <int kind>
void draw_shape(const Scene& s, std::int64_t frames, std::int64_t width, float* pattern) {
  const float w = static_cast<float>(width);
  for (std::int64_t f = 0; f < frames; ++f) {
    const float travelled = s.speed * static_cast<float>(f);
    for (std::int64_t y = 0; y < width; ++y) {
      float dy = static_cast<float>(y) - s.y - travelled * s.heading_y;
      dy -= w * std::floor(dy / w + 0.5f);
      const float row_phase = s.wave_phase + s.wave_y * static_cast<float>(y) / w;
      draw_line<kind>(s, s.x + travelled * s.heading_x, dy, row_phase, width, pattern + (f * width + y) * width);
    }
  }
}

/// Brings the pattern to mean 0 and variance 1.
void standardise(std::vector<float>& pattern) {
  double sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum, squares)
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    sum += static_cast<double>(pattern[i]);
    squares += static_cast<double>(pattern[i]) * static_cast<double>(pattern[i]);
  }
  const double n = static_cast<double>(pattern.size()), mean = sum / n;
  const double variance = std::max(squares / n - mean * mean, 1e-6);  // a plane of a pixel or two may be flat
  const float shift = static_cast<float>(mean), scale = static_cast<float>(1 / std::sqrt(variance));
  for (float& value : pattern) value = (value - shift) * scale;
}

class ProceduralDataset : public Dataset {
 public:
  ProceduralDataset(const model::ModelConfig& model, std::uint64_t class_seed, std::uint64_t scene_seed,
                    std::int64_t first_index)
      : class_seed_(class_seed), scene_seed_(scene_seed), first_index_(first_index), classes_(model.num_classes),
        channels_(model.in_channels), frames_(model.frames), width_(model.input_size),
        pattern_(static_cast<std::size_t>(frames_ * width_ * width_)), signature_(static_cast<std::size_t>(channels_)) {
  }

  std::int64_t size() const override { return kSamples; }

  DatasetIdentity identity() const override { return {kSamples, kProceduralContents}; }

  std::string description() const override {
    return fmt::format("procedural moving shapes: {} classes, latents {} x {} x {} x {}", classes_, channels_, frames_,
                       width_, width_);
  }

  void read(std::span<const std::int64_t> indices, float* latents, std::int32_t* labels) override {
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const Scene scene = draw_scene(scene_seed_, first_index_ + indices[i], classes_, static_cast<float>(width_));
      draw_pattern(scene, frames_, width_, pattern_.data());
      standardise(pattern_);
      class_signature(class_seed_, scene.label, signature_);
      labels[i] = scene.label;
      for (std::int64_t c = 0; c < channels_; ++c) {
        for (const float value : pattern_) *latents++ = value * signature_[static_cast<std::size_t>(c)];
      }
    }
  }

 private:
  std::uint64_t class_seed_, scene_seed_;
  std::int64_t first_index_;
  std::int32_t classes_;
  std::int64_t channels_, frames_, width_;
  std::vector<float> pattern_;    // (F, H, W) of the sample at hand
  std::vector<float> signature_;  // (C) of its class
};

}  // namespace

void set_heading(Scene& scene) {
  ops::fast_sincos_2pi(static_cast<float>(direction_of(scene.label)) / kDirections, &scene.heading_x, &scene.heading_y);
}

void draw_pattern(const Scene& scene, std::int64_t frames, std::int64_t width, float* pattern) {
  switch (shape_of(scene.label)) {
    case 0: draw_shape<0>(scene, frames, width, pattern); break;
    case 1: draw_shape<1>(scene, frames, width, pattern); break;
    case 2: draw_shape<2>(scene, frames, width, pattern); break;
    default: draw_shape<3>(scene, frames, width, pattern); break;
  }
}

void class_signature(std::uint64_t class_seed, std::int32_t label, std::span<float> signature) {
  double squares = 0;
  for (std::size_t c = 0; c < signature.size(); ++c) {
    float normal[4];
    const auto element = kSignatureElement + static_cast<std::uint32_t>(c);
    ops::normal4(ops::philox(class_seed, 0, static_cast<std::uint32_t>(label), ops::Purpose::shapes, element), normal);
    signature[c] = normal[0];
    squares += static_cast<double>(normal[0]) * static_cast<double>(normal[0]);
  }
  const auto scale = static_cast<float>(std::sqrt(static_cast<double>(signature.size()) / std::max(squares, 1e-12)));
  for (float& weight : signature) weight *= scale;
}

std::unique_ptr<Dataset> make_procedural_dataset(const model::ModelConfig& model, std::uint64_t seed) {
  return std::make_unique<ProceduralDataset>(model, seed, seed, 0);
}

std::unique_ptr<Dataset> make_held_out_dataset(const model::ModelConfig& model, std::uint64_t class_seed) {
  return std::make_unique<ProceduralDataset>(model, class_seed, kHeldOutSeed, kSamples);
}

}  // namespace gpumonth::trainer
