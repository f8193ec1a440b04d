// For trying out work on the GPU when a backend is set up: scratch memory, a clock, a comparison. Everything
// here may allocate and wait: constructors and tests use it, a step never does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "trainer/ops/bf16.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::ops {

/// Scratch memory on the GPU, random in [-1, 1): zeros would draw less power and so run faster than numbers do.
class TrialBuffer {
 public:
  TrialBuffer(const Cuda& device, Dtype dtype, std::int64_t count);
  void* get() const { return data_.get(); }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_.get());
  }
  explicit operator bool() const { return data_ != nullptr; }  ///< false: the GPU's memory does not hold it

 private:
  struct Free {
    void operator()(void* memory) const { cudaFree(memory); }
  };
  std::unique_ptr<void, Free> data_;
};

/// Mean duration of one of as many runs of `work` as fit into `budget_us`, the better of two such means. Waits.
double time_us(const Cuda& device, double budget_us, const std::function<void()>& work);

/// Of `first` and `second`, which take turns for `budget_us`: the medians over the turns. A GPU whose power or heat
/// limits its clock changes it within milliseconds, and so the one that is timed later. Waits.
std::pair<double, double> time_in_turns_us(const Cuda& device, double budget_us, const std::function<void()>& first,
                                           const std::function<void()>& second);

/// |a - b| / |b| in the Euclidean norm, of `count` elements on the GPU. Waits. NaN where either holds one.
double relative_distance_on_gpu(const Cuda& device, Dtype dtype, std::int64_t count, const void* a, const void* b);

}  // namespace gpumonth::ops
