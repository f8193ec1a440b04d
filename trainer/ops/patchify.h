// Latents to patches and back: (B, C, [F,] H, W) <-> (B, T, patch), tokens in the order (time, y, x).
#pragma once

#include <cstdint>

#include "model/config.h"
#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// The shape of one latent sample and of its patches.
struct LatentShape {
  std::int64_t channels;  ///< C
  std::int64_t frames, height, width;
  std::int64_t temporal_patch, patch;  ///< frames and pixels per patch edge; they divide the sizes

  std::int64_t plane() const { return frames * height * width; }  ///< values of one channel
  std::int64_t rows() const { return frames / temporal_patch * (height / patch); }
  std::int64_t tokens_per_row() const { return width / patch; }
  std::int64_t tokens() const { return rows() * tokens_per_row(); }             ///< T
  std::int64_t patch_volume() const { return temporal_patch * patch * patch; }  ///< pixels of a patch
};

inline LatentShape latent_shape(const model::ModelConfig& m) {
  return {m.in_channels, m.frames, m.input_size, m.input_size, m.temporal_patch_size, m.patch_size};
}

/// patches (B, T, C pt p p) from latents (B, C, [F,] H, W) fp32: a patch in the order of the convolution
/// weight (h, C, [pt,] p, p). T = float or bf16.
template <class T>
void patchify(Cpu& cpu, const float* latents, const LatentShape& shape, std::int64_t batch, T* patches);
template <class T>
void patchify(Cuda& cuda, const float* latents, const LatentShape& shape, std::int64_t batch, T* patches);

/// images (B, c_out, [F,] H, W) fp32 from the final linear layer's tokens (B, T, pt p p c_out) fp32: a token
/// in the reference's order, channels innermost. shape.channels is not used.
void unpatchify(Cpu& cpu, const float* tokens, const LatentShape& shape, std::int64_t batch, std::int64_t out_channels,
                float* images);
void unpatchify(Cuda& cuda, const float* tokens, const LatentShape& shape, std::int64_t batch,
                std::int64_t out_channels, float* images);

}  // namespace gpumonth::ops
