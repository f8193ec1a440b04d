#include "trainer/sample/contact_sheet.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/quantile.h"

namespace gpumonth::trainer {
namespace {

constexpr std::int64_t kLeastFrame = 64, kGap = 2;  // pixels
constexpr std::uint8_t kBackground = 32;

/// What is black and what is white of a channel.
struct Levels {
  double low = 0, high = 1;

  std::uint8_t shade(float value) const {
    if (!(high > low)) return 128;
    return static_cast<std::uint8_t>(std::lround(255 * std::clamp((double{value} - low) / (high - low), 0.0, 1.0)));
  }
};

/// The frames of all samples as a grid.
struct Sheet {
  Sheet(std::span<const float> values, const model::ModelConfig& model)
      : samples(values), m(model),
        count(std::min(kMostOnSheet, static_cast<std::int64_t>(values.size()) / model.latent_size())),
        columns(model.frames > 1 ? model.frames
                                 : static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(count))))),
        scale((kLeastFrame + model.input_size - 1) / model.input_size), cell(model.input_size * scale) {}

  std::int64_t frames() const { return count * m.frames; }
  std::int64_t extent(std::int64_t cells) const { return cells * (cell + kGap) + kGap; }

  /// Channel c of frame f, counted through all samples: (H, W).
  const float* plane(std::int64_t f, std::int64_t c) const {
    const std::int64_t size = std::int64_t{m.input_size} * m.input_size;
    return samples.data() + f / m.frames * m.latent_size() + (c * m.frames + f % m.frames) * size;
  }

  Levels levels(std::int64_t c) const {
    std::vector<double> values;
    for (std::int64_t f = 0; f < frames(); ++f)
      values.insert(values.end(), plane(f, c), plane(f, c) + std::int64_t{m.input_size} * m.input_size);
    return {quantile_in_place(values, 0.01), quantile_in_place(values, 0.99)};
  }

  std::span<const float> samples;
  const model::ModelConfig& m;
  std::int64_t count, columns, scale, cell;
};

void draw_frame(const Sheet& sheet, std::int64_t frame, const std::array<std::int64_t, 3>& channels,
                const std::array<Levels, 3>& levels, Picture& picture) {
  const std::int64_t left = sheet.extent(frame % sheet.columns), top = sheet.extent(frame / sheet.columns);
  for (std::size_t c = 0; c < 3; ++c) {
    const float* plane = sheet.plane(frame, channels[c]);
    for (std::int64_t y = 0; y < sheet.cell; ++y)
      for (std::int64_t x = 0; x < sheet.cell; ++x)
        picture.rgb[static_cast<std::size_t>(((top + y) * picture.width + left + x) * 3) + c] =
            levels[c].shade(plane[y / sheet.scale * sheet.m.input_size + x / sheet.scale]);
  }
}

}  // namespace

Picture contact_sheet(std::span<const float> samples, const model::ModelConfig& model) {
  const Sheet sheet(samples, model);
  const std::int64_t rows = (sheet.frames() + sheet.columns - 1) / sheet.columns;
  Picture picture{static_cast<int>(sheet.extent(sheet.columns)), static_cast<int>(sheet.extent(rows)), {}};
  picture.rgb.assign(static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height) * 3,
                     kBackground);
  std::array<std::int64_t, 3> channels{0, 0, 0};
  if (model.in_channels >= 3) channels = {0, 1, 2};
  std::array<Levels, 3> levels;
  for (std::size_t c = 0; c < 3; ++c) levels[c] = sheet.levels(channels[c]);
  for (std::int64_t f = 0; f < sheet.frames(); ++f) draw_frame(sheet, f, channels, levels, picture);
  return picture;
}

}  // namespace gpumonth::trainer
