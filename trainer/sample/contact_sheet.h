// Samples side by side in one picture: images in a square of rows, clips a row each, frame after frame.
#pragma once

#include <span>

#include "model/config.h"
#include "trainer/sample/picture.h"

namespace gpumonth::trainer {

constexpr std::int64_t kMostOnSheet = 64;  ///< the first samples; more are left out

/// `samples` (N, C, [F,] H, W), N > 0. Latents have no colours of their own: their first three channels are shown as red,
/// green and blue, each between its 1st and 99th percentile over all that is shown; one or two channels as grey, by the
/// first. Pixels are enlarged by a whole number, so that a frame has 64 pixels or more.
Picture contact_sheet(std::span<const float> samples, const model::ModelConfig& model);

}  // namespace gpumonth::trainer
