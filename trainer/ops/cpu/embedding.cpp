#include "trainer/ops/embedding.h"

#include <algorithm>
#include <cmath>

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {

void timestep_embedding(Cpu& cpu, const std::int32_t* t, std::int64_t batch, std::int64_t width, float* embedding) {
  constexpr double kMaxPeriod = 10000;
  const std::int64_t half = width / 2;
  parallel_for(cpu, half, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) {
      const double frequency = std::pow(kMaxPeriod, -static_cast<double>(k) / static_cast<double>(half));
      for (std::int64_t b = 0; b < batch; ++b) {
        const double angle = t[b] * frequency;
        embedding[b * width + k] = static_cast<float>(std::cos(angle));
        embedding[b * width + half + k] = static_cast<float>(std::sin(angle));
      }
    }
  });
}

void label_embedding(Cpu& cpu, const float* table, const std::int32_t* labels, const float* addend, std::int64_t batch,
                     std::int64_t h, float* out) {
  parallel_for(cpu, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const float* row = table + labels[b] * h;
      for (std::int64_t i = 0; i < h; ++i) out[b * h + i] = row[i] + (addend ? addend[b * h + i] : 0.0f);
    }
  });
}

void label_embedding_backward(Cpu& cpu, const float* d_out, const std::int32_t* labels, std::int64_t batch,
                              std::int64_t rows, std::int64_t h, float* d_table) {
  parallel_for(cpu, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    std::fill(d_table + begin * h, d_table + end * h, 0.0f);
    for (std::int64_t b = 0; b < batch; ++b) {
      if (labels[b] < begin || labels[b] >= end) continue;
      float* row = d_table + labels[b] * h;
      for (std::int64_t i = 0; i < h; ++i) row[i] += d_out[b * h + i];
    }
  });
}

}  // namespace gpumonth::ops
