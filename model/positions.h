// The fixed sin-cos position embedding, as the reference's get_2d_sincos_pos_embed; video adds time.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace gpumonth::model {

/// (T, h) row-major, tokens in the order (time, y, x). An image row is [x: sin, cos | y: sin, cos] (the
/// reference puts x first), h/4 values each, frequencies 10000^(-i / (h/4)). A video row is [time: sin, cos |
/// x | y], time in the first 2 floor(h/8) values. Throws UserError where the spatial part is not divisible
/// by 4.
std::vector<float> position_embedding(const ModelConfig& model);

/// {1, T, h}: the shape of the reference's pos_embed.
std::vector<std::int64_t> position_embedding_shape(const ModelConfig& model);

}  // namespace gpumonth::model
