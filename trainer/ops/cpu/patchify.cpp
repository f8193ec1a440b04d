#include "trainer/ops/patchify.h"

#include "trainer/ops/bf16.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

/// Calls f(row of tokens r, patch frame a, patch line d, offset in a channel's plane of that line's first
/// pixel): each line holds tokens_per_row x patch pixels side by side.
template <class F>
void for_each_line(const LatentShape& s, std::int64_t row, F&& f) {
  const std::int64_t rows_per_frame = s.height / s.patch;
  const std::int64_t frame = row / rows_per_frame * s.temporal_patch, y = row % rows_per_frame * s.patch;
  for (std::int64_t a = 0; a < s.temporal_patch; ++a) {
    for (std::int64_t d = 0; d < s.patch; ++d) f(a, d, ((frame + a) * s.height + y + d) * s.width);
  }
}

}  // namespace

template <class T>
void patchify(Cpu& cpu, const float* latents, const LatentShape& s, std::int64_t batch, T* patches) {
  const std::int64_t values = s.channels * s.patch_volume();
  parallel_for(cpu, batch * s.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / s.rows(), row = item % s.rows();
      T* row_patches = patches + item * s.tokens_per_row() * values;
      for (std::int64_t c = 0; c < s.channels; ++c) {
        for_each_line(s, row, [&](std::int64_t a, std::int64_t d, std::int64_t offset) {
          const float* line = latents + (b * s.channels + c) * s.plane() + offset;
          T* out = row_patches + ((c * s.temporal_patch + a) * s.patch + d) * s.patch;
          for (std::int64_t x = 0; x < s.tokens_per_row(); ++x) {
            for (std::int64_t i = 0; i < s.patch; ++i) {
              out[x * values + i] = from_float<T>(line[x * s.patch + i]);
            }
          }
        });
      }
    }
  });
}

void unpatchify(Cpu& cpu, const float* tokens, const LatentShape& s, std::int64_t batch, std::int64_t out_channels,
                float* images) {
  const std::int64_t values = s.patch_volume() * out_channels;
  parallel_for(cpu, batch * s.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t b = item / s.rows(), row = item % s.rows();
      const float* row_tokens = tokens + item * s.tokens_per_row() * values;
      for (std::int64_t c = 0; c < out_channels; ++c) {
        for_each_line(s, row, [&](std::int64_t a, std::int64_t d, std::int64_t offset) {
          float* line = images + (b * out_channels + c) * s.plane() + offset;
          const float* in = row_tokens + (a * s.patch + d) * s.patch * out_channels + c;
          for (std::int64_t x = 0; x < s.tokens_per_row(); ++x) {
            for (std::int64_t i = 0; i < s.patch; ++i) line[x * s.patch + i] = in[x * values + i * out_channels];
          }
        });
      }
    }
  });
}

template void patchify(Cpu&, const float*, const LatentShape&, std::int64_t, float*);
template void patchify(Cpu&, const float*, const LatentShape&, std::int64_t, bf16*);

}  // namespace gpumonth::ops
