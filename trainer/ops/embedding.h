// Timestep and label embeddings.
#pragma once

#include <cstdint>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// embedding (B, width) fp32 of timesteps t (B): cos(t f_k), then sin(t f_k), f_k = 10000^(-k / (width/2)),
/// for even width. Angles are double: at t = 999 a frequency rounded to fp32 already shifts the phase by 3e-5.
void timestep_embedding(Cpu& cpu, const std::int32_t* t, std::int64_t batch, std::int64_t width, float* embedding);
void timestep_embedding(Cuda& cuda, const std::int32_t* t, std::int64_t batch, std::int64_t width, float* embedding);

/// out (B, h) fp32 = table[labels[b]] + addend[b]; table (rows, h) fp32, addend (B, h) fp32 or null, may be `out`.
void label_embedding(Cpu& cpu, const float* table, const std::int32_t* labels, const float* addend, std::int64_t batch,
                     std::int64_t h, float* out);
void label_embedding(Cuda& cuda, const float* table, const std::int32_t* labels, const float* addend,
                     std::int64_t batch, std::int64_t h, float* out);

/// d_table (rows, h) fp32, overwritten whole = the sum over samples, in order, of d_out (B, h) at row labels[b].
void label_embedding_backward(Cpu& cpu, const float* d_out, const std::int32_t* labels, std::int64_t batch,
                              std::int64_t rows, std::int64_t h, float* d_table);
void label_embedding_backward(Cuda& cuda, const float* d_out, const std::int32_t* labels, std::int64_t batch,
                              std::int64_t rows, std::int64_t h, float* d_table);

}  // namespace gpumonth::ops
