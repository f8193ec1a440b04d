// Drawings made here, by supersampling and not by the product's code, and those of the set itself, are read back.
#include "trainer/quality/drawing_reader.h"

#include <cmath>
#include <numeric>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

using namespace gpumonth;
using namespace gpumonth::trainer;

namespace {

constexpr double kPi = 3.14159265358979324;
constexpr std::uint64_t kClassSeed = 3;

model::ModelConfig small_model(int frames = 1, int size = 16, int classes = 32) {
  model::ModelConfig m;
  m.input_size = size;
  m.in_channels = 4;
  m.frames = frames;
  m.num_classes = classes;
  return m;
}

/// A shape as the set's definition has it, in shares of the width.
struct Known {
  int shape = 0, direction = 0;
  double x = 0.5, y = 0.5, radius = 0.3, speed = 0;
  std::int32_t label() const { return shape + 4 * direction; }
};

bool inside(int shape, double u, double v) {
  const double r = std::hypot(u, v);
  switch (shape) {
    case 0: return r < 1;
    case 1: return std::max(std::abs(u), std::abs(v)) < 0.85;
    case 2: return r > 0.45 && r < 1.05;
    default: return std::abs(u) < 1.2 && std::abs(v) < 0.5;
  }
}

/// The mean over 8 x 8 points of a pixel of the shape, brighter ahead, on a torus of width 1.
double pixel(const Known& k, double centre_x, double centre_y, double x, double y, double step) {
  const double a = 2 * kPi * k.direction / 8, c = std::cos(a), s = std::sin(a);
  double sum = 0;
  for (int i = 0; i < 8; ++i)
    for (int j = 0; j < 8; ++j) {
      double dx = x + ((i + 0.5) / 8 - 0.5) * step - centre_x, dy = y + ((j + 0.5) / 8 - 0.5) * step - centre_y;
      dx -= std::round(dx);
      dy -= std::round(dy);
      const double u = (dx * c + dy * s) / k.radius, v = (dy * c - dx * s) / k.radius;
      if (inside(k.shape, u, v)) sum += 1 + 0.35 * u;
    }
  return sum / 64;
}

std::vector<float> latent_of(const Known& k, const model::ModelConfig& m) {
  const double a = 2 * kPi * k.direction / 8, step = 1.0 / m.input_size;
  std::vector<double> pattern;
  for (int f = 0; f < m.frames; ++f)
    for (int y = 0; y < m.input_size; ++y)
      for (int x = 0; x < m.input_size; ++x)
        pattern.push_back(
            pixel(k, k.x + f * k.speed * std::cos(a), k.y + f * k.speed * std::sin(a), x * step, y * step, step));
  const double n = static_cast<double>(pattern.size());
  const double mean = std::accumulate(pattern.begin(), pattern.end(), 0.0) / n;
  double squares = 0;
  for (const double v : pattern) squares += (v - mean) * (v - mean) / n;
  std::vector<float> colour(static_cast<std::size_t>(m.in_channels)), latent;
  class_signature(kClassSeed, k.label(), colour);
  for (const float c : colour)
    for (const double v : pattern) latent.push_back(static_cast<float>((v - mean) / std::sqrt(squares)) * c);
  return latent;
}

double around(double a, double b) { return std::abs(a - b - std::round(a - b)); }

void check_read(const Known& k, const model::ModelConfig& m) {
  CAPTURE(k.shape, k.direction, k.x, k.y, k.radius, k.speed, m.frames);
  const Reading r = DrawingReader(m, kClassSeed).read(latent_of(k, m));
  CHECK(r.label == k.label());
  CHECK(r.shape == k.shape);
  CHECK(r.direction == k.direction);
  CHECK(around(r.x, k.x) < 0.012);  // a fifth of a pixel
  CHECK(around(r.y, k.y) < 0.012);
  CHECK(r.radius == Approx(k.radius).margin(0.012));
  CHECK(r.speed == Approx(k.speed).margin(0.004));
  CHECK(r.likeness[static_cast<std::size_t>(k.shape)] > 0.97);
  std::vector<float> colour(4);
  class_signature(kClassSeed, k.label(), colour);
  for (std::size_t c = 0; c < 4; ++c) CHECK(r.colour[c] == Approx(double{colour[c]}).margin(0.06));
}

}  // namespace

TEST_CASE("place, size, shape, direction and colour of known drawings are read") {
  const auto m = small_model();
  for (int shape = 0; shape < 4; ++shape)
    for (const int direction : {0, 3, 6}) {
      check_read({.shape = shape, .direction = direction, .x = 0.4, .y = 0.7, .radius = 0.26}, m);
      check_read({.shape = shape, .direction = direction, .x = 0.97, .y = 0.03, .radius = 0.32}, m);  // over both edges
    }
}

TEST_CASE("motion of known clips is read") {
  const auto m = small_model(8);
  for (int shape = 0; shape < 4; ++shape)
    for (const int direction : {0, 3, 6})
      check_read({.shape = shape, .direction = direction, .x = 0.9, .y = 0.2, .radius = 0.28, .speed = 0.045}, m);
  const DrawingReader reader(m, kClassSeed);
  const Known up{.shape = 0, .direction = 2, .speed = 0.05};
  const auto features = reader.features(reader.read(latent_of(up, m)));
  CHECK(features.size() == 17);
  CHECK(features[15] == Approx(0).margin(1e-6));  // the velocity's x
  CHECK(features[16] == Approx(0.05).margin(0.004));
}

TEST_CASE("labels of true drawings are read right, also through noise") {
  for (const auto& m : {small_model(), small_model(4), small_model(1, 32, 10), small_model(1, 16, 100)}) {
    CAPTURE(m.frames, m.input_size, m.num_classes);
    constexpr std::size_t kCount = 200;
    const auto data = make_held_out_dataset(m, kClassSeed);
    std::vector<std::int64_t> indices(kCount);
    std::iota(indices.begin(), indices.end(), 0);
    const auto size = static_cast<std::size_t>(m.latent_size());
    std::vector<float> latents(kCount * size);
    std::vector<std::int32_t> labels(kCount);
    data->read(indices, latents.data(), labels.data());
    const DrawingReader reader(m, kClassSeed);
    const auto noise = tests::random_values(static_cast<std::int64_t>(latents.size()), 5, 0.5f);
    std::size_t right = 0, right_in_noise = 0;
    for (std::size_t i = 0; i < kCount; ++i) {
      std::span<float> latent = std::span(latents).subspan(i * size, size);
      right += reader.read(latent).label == labels[i];
      for (std::size_t k = 0; k < size; ++k) latent[k] += noise[i * size + k];
      right_in_noise += reader.read(latent).label == labels[i];
    }
    CHECK(right >= 198);
    CHECK(right_in_noise >= 180);
  }
}

TEST_CASE("a drawing that is moved by whole pixels is the same drawing elsewhere") {
  const auto m = small_model();
  const DrawingReader reader(m, kClassSeed);
  const auto latent = latent_of({.shape = 3, .direction = 1, .x = 0.3, .y = 0.6}, m);
  std::vector<float> moved(latent.size());
  for (std::size_t c = 0; c < 4; ++c)
    for (std::size_t y = 0; y < 16; ++y)
      for (std::size_t x = 0; x < 16; ++x)
        moved[(c * 16 + (y + 7) % 16) * 16 + (x + 10) % 16] = latent[(c * 16 + y) * 16 + x];
  const Reading a = reader.read(latent), b = reader.read(moved);
  CHECK(around(b.x, a.x + 10.0 / 16) < 2e-3);
  CHECK(around(b.y, a.y + 7.0 / 16) < 2e-3);
  CHECK(b.radius == Approx(a.radius).margin(2e-3));
  CHECK(b.label == a.label);
}

TEST_CASE("noise resembles no drawing, and an empty latent is read as nothing") {
  const auto m = small_model();
  const DrawingReader reader(m, kClassSeed);
  const Reading noise = reader.read(tests::random_values(m.latent_size(), 1));
  for (const double likeness : noise.likeness) CHECK(likeness < 0.6);
  const Reading nothing = reader.read(std::vector<float>(static_cast<std::size_t>(m.latent_size()), 1.0f));
  CHECK(nothing.label == -1);
  for (const double f : reader.features(nothing)) CHECK(std::isfinite(f));
}

TEST_CASE("held-out drawings are the same scenes in the colours of each training, and none of a training's") {
  const auto m = small_model(1, 16, 10);
  std::vector<std::int64_t> indices(64);
  std::iota(indices.begin(), indices.end(), 0);
  const auto size = static_cast<std::size_t>(m.latent_size());
  std::vector<float> a(64 * size), b(64 * size), of_training(64 * size);
  std::vector<std::int32_t> labels_a(64), labels_b(64), labels(64);
  make_held_out_dataset(m, 1)->read(indices, a.data(), labels_a.data());
  make_held_out_dataset(m, 2)->read(indices, b.data(), labels_b.data());
  CHECK(labels_a == labels_b);
  for (std::size_t i = 0; i < 64; ++i) {
    std::vector<float> colour_a(4), colour_b(4);
    class_signature(1, labels_a[i], colour_a);
    class_signature(2, labels_a[i], colour_b);
    for (std::size_t p = 0; p < 256; ++p)  // pattern = value / colour
      REQUIRE(a[i * size + p] * colour_b[0] == Approx(b[i * size + p] * colour_a[0]).margin(1e-5));
  }
  // Also of a training under the seed of the held-out scenes.
  for (const std::uint64_t seed : {std::uint64_t{1}, std::uint64_t{20240215}}) {
    make_procedural_dataset(m, seed)->read(indices, of_training.data(), labels.data());
    for (std::size_t i = 0; i < 64; ++i)
      for (std::size_t k = 0; k < 64; ++k)
        REQUIRE_FALSE(std::equal(a.begin() + i * size, a.begin() + (i + 1) * size, of_training.begin() + k * size));
  }
}
