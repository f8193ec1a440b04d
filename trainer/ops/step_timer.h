// Moments within a step: steady_clock on the CPU, events on a GPU's stream.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

template <class Device>
class StepTimer;

template <>
class StepTimer<Cpu> {
 public:
  StepTimer(Cpu& device, int marks);
  void mark(int which);
  double seconds(int from, int to) const;

 private:
  std::vector<std::chrono::steady_clock::time_point> marks_;
};

template <>
class StepTimer<Cuda> {
 public:
  StepTimer(Cuda& device, int marks);
  ~StepTimer();
  StepTimer(StepTimer&&) noexcept;
  StepTimer& operator=(StepTimer&&) noexcept;
  /// When everything enqueued so far is done. May be recorded (ops/step_graph.h).
  void mark(int which);
  /// Between two marks of the step that synchronize() ended.
  double seconds(int from, int to) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::ops
