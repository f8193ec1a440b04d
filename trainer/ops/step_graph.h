// Work that is the same in every step, recorded once and replayed: a CUDA graph on a GPU, a plain call on the CPU.
#pragma once

#include <functional>
#include <memory>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

/// `work` may enqueue on the device's stream and on streams that it forks from it and joins again; it must not wait,
/// copy to the host, allocate, or depend on anything that changes between steps but through device memory. The first
/// runs call it, so that libraries can set themselves up; a later one records, the rest replay.
template <class Device>
class StepGraph;

template <>
class StepGraph<Cpu> {
 public:
  explicit StepGraph(Cpu& device);
  void agree_by(std::function<bool(bool)> agree);
  void run(const std::function<void()>& work);
  bool replays() const;
};

template <>
class StepGraph<Cuda> {
 public:
  explicit StepGraph(Cuda& device);
  ~StepGraph();
  StepGraph(StepGraph&&) noexcept;
  /// Where several ranks record collectives, all replay or none: once this rank has recorded or failed to, `agree` is
  /// called with whether it has, and says whether all have.
  void agree_by(std::function<bool(bool)> agree);
  void run(const std::function<void()>& work);
  bool replays() const;  ///< a graph exists

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::ops
