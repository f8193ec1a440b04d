#include "trainer/quality/drawing_reader.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "trainer/quality/pattern_fit.h"
#include "trainer/quality/rank_one.h"

namespace gpumonth::trainer {
namespace {

constexpr std::size_t kCombinations = kShapes * kDirections;
constexpr double kWorthFitting = 0.1;  // correlation that a fit may add

double mean_product(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum / static_cast<double>(a.size());
}

double share_of(float pixels, double width) {
  const double s = double{pixels} / width;
  return s - std::floor(s);
}

}  // namespace

DrawingReader::DrawingReader(const model::ModelConfig& model, std::uint64_t class_seed)
    : channels_(model.in_channels), frames_(model.frames), width_(model.input_size), classes_(model.num_classes),
      colours_(static_cast<std::size_t>(classes_ * channels_)) {
  for (std::int32_t label = 0; label < classes_; ++label)
    class_signature(
        class_seed, label,
        std::span(colours_).subspan(static_cast<std::size_t>(label * channels_), static_cast<std::size_t>(channels_)));
}

std::int32_t DrawingReader::class_of(std::span<const double> direction,
                                     const std::array<double, kShapes * kDirections>& fit) const {
  std::int32_t best = 0;
  double most = -INFINITY;
  for (std::int32_t label = 0; label < classes_; ++label) {
    double cosine = 0;
    for (std::size_t c = 0; c < direction.size(); ++c)
      cosine += direction[c] * double{colours_[static_cast<std::size_t>(label) * direction.size() + c]};
    const double score = cosine * fit[static_cast<std::size_t>(shape_of(label) + kShapes * direction_of(label))];
    if (score > most) most = score, best = label;
  }
  return best;
}

Reading DrawingReader::read(std::span<const float> latent) const {
  const RankOne one = rank_one(latent, channels_);
  Reading r;
  r.colour.assign(static_cast<std::size_t>(channels_), 0.0);
  if (one.empty) return r;
  const Pattern pattern{one.pattern, frames_, width_};
  const FirstSight sight = look_at(pattern);
  std::array<double, kCombinations> correlations{};
  FittedScene best{.correlation = -INFINITY};
  for (int shape = 0; shape < kShapes; ++shape) {
    std::vector<FittedScene> fits;
    for (int direction = 0; direction < kDirections; ++direction)
      if (has(shape, direction)) fits.push_back(start_of(pattern, sight, shape, direction));
    double most = -INFINITY;
    for (const FittedScene& fit : fits) most = std::max(most, fit.correlation);
    for (FittedScene& fit : fits) {
      if (fit.correlation > most - kWorthFitting) fit = refined(pattern, fit);
      correlations[static_cast<std::size_t>(fit.scene.label)] = fit.correlation;
      r.likeness[static_cast<std::size_t>(shape)] =
          std::max(r.likeness[static_cast<std::size_t>(shape)], fit.correlation);
      if (fit.correlation > best.correlation) best = fit;
    }
  }
  const auto width = static_cast<double>(width_);
  r.x = share_of(best.scene.x, width);
  r.y = share_of(best.scene.y, width);
  r.radius = double{best.scene.radius} / width;
  r.speed = double{best.scene.speed} / width;
  r.shape = shape_of(best.scene.label);
  r.direction = direction_of(best.scene.label);
  r.label = class_of(one.direction, correlations);
  const Pattern drawing = drawn(best.scene, frames_, width_);
  const std::size_t n = drawing.values.size();
  for (std::size_t c = 0; c < r.colour.size(); ++c)
    r.colour[c] = mean_product(latent.subspan(c * n, n), drawing.values);
  return r;
}

std::vector<double> DrawingReader::features(const Reading& r) const {
  constexpr double kTurn = 2 * std::numbers::pi;
  std::vector<double> f = {std::cos(kTurn * r.x), std::sin(kTurn * r.x), std::cos(kTurn * r.y), std::sin(kTurn * r.y),
                           r.radius};
  f.insert(f.end(), r.likeness.begin(), r.likeness.end());
  const bool drawn = r.label >= 0;
  const double angle = kTurn * r.direction / kDirections, cosine = drawn ? std::cos(angle) : 0,
               sine = drawn ? std::sin(angle) : 0;
  f.insert(f.end(), {cosine, sine});
  f.insert(f.end(), r.colour.begin(), r.colour.end());
  if (frames_ > 1) f.insert(f.end(), {r.speed * cosine, r.speed * sine});
  return f;
}

}  // namespace gpumonth::trainer
