#include "trainer/ops/cpu/convert.h"

#include <algorithm>

#include "trainer/ops/convert.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::ops {
namespace {

constexpr std::int64_t kGrain = 4096;

}  // namespace

void convert(Cpu& cpu, std::int64_t n, const float* from, float* to) {
  parallel_for(cpu, n, kGrain,
               [&](std::int64_t begin, std::int64_t end) { std::copy(from + begin, from + end, to + begin); });
}
void convert(Cpu& cpu, std::int64_t n, const float* from, bf16* to) {
  parallel_for(cpu, n, kGrain,
               [&](std::int64_t begin, std::int64_t end) { narrow(end - begin, from + begin, to + begin); });
}

}  // namespace gpumonth::ops
