#include <algorithm>
#include <cmath>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cuda/autotune.h"

namespace gpumonth::ops {
namespace {

constexpr int kThreads = 256, kMostBlocks = 1024;

__device__ std::uint32_t scrambled(std::uint64_t i) {  // PCG output function (O'Neill, 2014)
  const std::uint32_t state = static_cast<std::uint32_t>(i ^ (i >> 32)) * 747796405u + 2891336453u;
  const std::uint32_t word = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;
  return (word >> 22) ^ word;
}

template <class T>
__global__ void fill_random(std::int64_t count, T* values) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step)
    values[i] = from_float<T>(static_cast<float>(static_cast<std::int32_t>(scrambled(i))) * 0x1p-31f);
}

/// sums[0] += |a - b|^2, sums[1] += |b|^2
template <class T>
__global__ void add_squares(std::int64_t count, const T* a, const T* b, double* sums) {
  __shared__ double difference[kThreads], size[kThreads];
  double d = 0, s = 0;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    const double x = to_float(a[i]), y = to_float(b[i]);
    d += (x - y) * (x - y);
    s += y * y;
  }
  difference[threadIdx.x] = d;
  size[threadIdx.x] = s;
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      difference[threadIdx.x] += difference[threadIdx.x + half];
      size[threadIdx.x] += size[threadIdx.x + half];
    }
  }
  if (threadIdx.x == 0) {
    atomicAdd(&sums[0], difference[0]);
    atomicAdd(&sums[1], size[0]);
  }
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((count + kThreads - 1) / kThreads, 1, kMostBlocks));
}

double mean_us(const Cuda& device, int runs, const std::function<void()>& work) {
  const machine::CudaEvent begin, end;
  GPUMONTH_CUDA(cudaEventRecord, begin.get(), device.context->stream);
  for (int i = 0; i < runs; ++i) work();
  GPUMONTH_CUDA(cudaEventRecord, end.get(), device.context->stream);
  GPUMONTH_CUDA(cudaEventSynchronize, end.get());
  return 1e6 * seconds_between(begin, end) / runs;
}

}  // namespace

TrialBuffer::TrialBuffer(const Cuda& device, Dtype dtype, std::int64_t count) {
  const std::size_t bytes = static_cast<std::size_t>(count * model::bytes_per_element(dtype));
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return;
  }
  machine::check_cuda(status, "cudaMalloc", __FILE__, __LINE__);
  data_.reset(memory);
  const cudaStream_t stream = device.context->stream;
  if (dtype == Dtype::bf16)
    fill_random<<<blocks_for(count), kThreads, 0, stream>>>(count, static_cast<bf16*>(memory));
  else
    fill_random<<<blocks_for(count), kThreads, 0, stream>>>(count, static_cast<float*>(memory));
  GPUMONTH_CUDA_LAUNCHED();
}

double time_us(const Cuda& device, double budget_us, const std::function<void()>& work) {
  constexpr double kMostRuns = 100;
  work();  // loads the kernel
  const double once = mean_us(device, 1, work);
  const int runs = static_cast<int>(std::clamp(0.5 * budget_us / std::max(once, 1.0), 1.0, kMostRuns));
  const double a = mean_us(device, runs, work), b = mean_us(device, runs, work);
  return std::min(a, b);
}

std::pair<double, double> time_in_turns_us(const Cuda& device, double budget_us, const std::function<void()>& first,
                                           const std::function<void()>& second) {
  constexpr int kTurns = 5;
  constexpr double kMostRuns = 50;
  first();  // loads the kernels
  second();
  const double both = mean_us(device, 1, first) + mean_us(device, 1, second);
  const int runs = static_cast<int>(std::clamp(budget_us / (kTurns * std::max(both, 1.0)), 1.0, kMostRuns));
  double a[kTurns], b[kTurns];
  for (int turn = 0; turn < kTurns; ++turn) {
    a[turn] = mean_us(device, runs, first);
    b[turn] = mean_us(device, runs, second);
  }
  std::nth_element(a, a + kTurns / 2, a + kTurns);
  std::nth_element(b, b + kTurns / 2, b + kTurns);
  return {a[kTurns / 2], b[kTurns / 2]};
}

double relative_distance_on_gpu(const Cuda& device, Dtype dtype, std::int64_t count, const void* a, const void* b) {
  const cudaStream_t stream = device.context->stream;
  const TrialBuffer memory(device, Dtype::fp32, 4);  // two doubles
  if (!memory) return std::nan("");
  auto* const sums = static_cast<double*>(memory.get());
  GPUMONTH_CUDA(cudaMemsetAsync, sums, 0, 2 * sizeof(double), stream);
  if (dtype == Dtype::bf16)
    add_squares<<<blocks_for(count), kThreads, 0, stream>>>(count, static_cast<const bf16*>(a),
                                                            static_cast<const bf16*>(b), sums);
  else
    add_squares<<<blocks_for(count), kThreads, 0, stream>>>(count, static_cast<const float*>(a),
                                                            static_cast<const float*>(b), sums);
  GPUMONTH_CUDA_LAUNCHED();
  double host[2] = {};
  GPUMONTH_CUDA(cudaMemcpyAsync, host, sums, sizeof host, cudaMemcpyDeviceToHost, stream);
  GPUMONTH_CUDA(cudaStreamSynchronize, stream);
  return std::sqrt(host[0] / std::max(host[1], 1e-300));
}

}  // namespace gpumonth::ops
