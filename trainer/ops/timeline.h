// Moments within a step: steady_clock on the CPU, events on a GPU's stream.
#pragma once

#include <memory>

#include "trainer/ops/device.h"

namespace gpumonth::ops {

template <class Device>
class Timeline {
 public:
  Timeline(Device& device, int marks);
  ~Timeline();
  Timeline(Timeline&&) noexcept;
  /// When everything enqueued so far is done. May be recorded (ops/recording.h).
  void mark(int which);
  /// Between two marks of the step that synchronize() ended.
  double seconds(int from, int to) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gpumonth::ops
