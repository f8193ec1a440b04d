#include <cmath>

#include "trainer/ops/cuda/context.h"
#include "trainer/replay/waits.h"

namespace gpumonth::trainer {
namespace {

constexpr double kNanoseconds = 1e9;
constexpr std::int64_t kLongestSleep_ns = 1'000'000;  ///< that __nanosleep() takes

/// One clock for all multiprocessors, in steps of about 1 us; clock64() counts cycles of one, whose rate changes.
__device__ std::int64_t clock_ns() {
  std::int64_t now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

__global__ void mark_kernel(std::int64_t* mark_ns) { *mark_ns = clock_ns(); }

__global__ void resume_kernel(const std::int64_t* paused_ns, std::int64_t* origin_ns) {
  *origin_ns += clock_ns() - *paused_ns;
}

/// A sleep takes up to twice what it is asked for, so half of what is left is never too long.
__global__ void wait_kernel(const std::int64_t* origin_ns, const std::int64_t* at_ns, std::int64_t* late_ns) {
  const std::int64_t until = *origin_ns + *at_ns;
  std::int64_t now = clock_ns();
  while (now < until) {
    const std::int64_t half = (until - now) / 2;
    __nanosleep(static_cast<unsigned>(half < kLongestSleep_ns ? half : kLongestSleep_ns));
    now = clock_ns();
  }
  *late_ns = now - until;
}

}  // namespace

Waits<ops::Cuda>::Waits(ops::Cuda& device, int moments)
    : device_(device), origin_ns_(device, 1), paused_ns_(device, 1), at_ns_(device, moments),
      late_ns_(device, moments) {}

void Waits<ops::Cuda>::load(std::span<const double> at_s) {
  std::vector<std::int64_t> at_ns;
  for (const double s : at_s) at_ns.push_back(std::llround(kNanoseconds * s));
  ops::copy_to_device(device_, at_ns_.get(), at_ns.data(), at_ns_.bytes());
}

void Waits<ops::Cuda>::begin() {
  mark_kernel<<<1, 1, 0, ops::stream_of(device_)>>>(origin_ns_.get());
  GPUMONTH_CUDA_LAUNCHED();
}

void Waits<ops::Cuda>::pause() {
  mark_kernel<<<1, 1, 0, ops::stream_of(device_)>>>(paused_ns_.get());
  GPUMONTH_CUDA_LAUNCHED();
}

void Waits<ops::Cuda>::resume() {
  resume_kernel<<<1, 1, 0, ops::stream_of(device_)>>>(paused_ns_.get(), origin_ns_.get());
  GPUMONTH_CUDA_LAUNCHED();
}

void Waits<ops::Cuda>::until(int moment) {
  wait_kernel<<<1, 1, 0, ops::stream_of(device_)>>>(origin_ns_.get(), at_ns_.get() + moment, late_ns_.get() + moment);
  GPUMONTH_CUDA_LAUNCHED();
}

std::vector<double> Waits<ops::Cuda>::late_s() {
  std::vector<std::int64_t> late_ns(static_cast<std::size_t>(late_ns_.size()));
  ops::copy_to_host(device_, late_ns.data(), late_ns_.get(), late_ns_.bytes());
  std::vector<double> late_s;
  for (const std::int64_t ns : late_ns) late_s.push_back(static_cast<double>(ns) / kNanoseconds);
  return late_s;
}

}  // namespace gpumonth::trainer
