#include "trainer/ops/swap_axes.h"

#include <algorithm>
#include <cstring>

#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {

template <class T>
void swap_axes(Cpu& cpu, std::int64_t a, std::int64_t b, std::int64_t w, const T* in, T* out) {
  constexpr std::int64_t kGrainBytes = 16 << 10;
  const auto bytes = static_cast<std::int64_t>(sizeof(T)) * w;
  parallel_for(cpu, a * b, std::max<std::int64_t>(1, kGrainBytes / bytes), [&](std::int64_t begin, std::int64_t end) {
    std::int64_t j = begin / a, i = begin % a;  // of the output's row
    for (std::int64_t row = begin; row < end; ++row) {
      std::memcpy(out + row * w, in + (i * b + j) * w, static_cast<std::size_t>(bytes));
      if (++i == a) {
        i = 0;
        ++j;
      }
    }
  });
}

template void swap_axes(Cpu&, std::int64_t, std::int64_t, std::int64_t, const float*, float*);
template void swap_axes(Cpu&, std::int64_t, std::int64_t, std::int64_t, const bf16*, bf16*);

}  // namespace gpumonth::ops
