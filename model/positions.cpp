#include "model/positions.h"

#include <cmath>

#include "base/error.h"

namespace gpumonth::model {
namespace {

/// Writes width/2 sines, then width/2 cosines of position x 10000^(-i / (width/2)).
void sincos(std::int64_t position, std::int64_t width, float* out) {
  const std::int64_t half = width / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double frequency = 1 / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(half));
    const double angle = static_cast<double>(position) * frequency;
    out[i] = static_cast<float>(std::sin(angle));
    out[half + i] = static_cast<float>(std::cos(angle));
  }
}

}  // namespace

std::vector<float> position_embedding(const ModelConfig& model) {
  const std::int64_t h = model.hidden_size, time_width = model.is_video() ? 2 * (h / 8) : 0;
  const std::int64_t space_width = h - time_width;
  if (space_width % 4 != 0) {
    user_error(
        "model.hidden_size = {}: its {} values for sin-cos space positions are not divisible by 4; take a "
        "multiple of 16",
        h, space_width);
  }
  std::vector<float> embedding(static_cast<std::size_t>(model.tokens() * h));
  float* row = embedding.data();
  for (std::int64_t t = 0; t < model.time_grid(); ++t) {
    for (std::int64_t y = 0; y < model.grid(); ++y) {
      for (std::int64_t x = 0; x < model.grid(); ++x, row += h) {
        sincos(t, time_width, row);
        sincos(x, space_width / 2, row + time_width);
        sincos(y, space_width / 2, row + time_width + space_width / 2);
      }
    }
  }
  return embedding;
}

std::vector<std::int64_t> position_embedding_shape(const ModelConfig& model) {
  return {1, model.tokens(), model.hidden_size};
}

}  // namespace gpumonth::model
