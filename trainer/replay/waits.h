// Waits in the place of work, until moments that are counted from an origin on the device's own clock: a CPU rank sleeps,
// and a GPU's stream is held by a kernel that looks at the clock. That kernel reads its moment from device memory, so it may
// be recorded (ops/step_graph.h) though every step's moments are others.
#pragma once

#include <span>
#include <vector>

#include "trainer/ops/buffer.h"
#include "trainer/replay/alarm.h"

namespace gpumonth::trainer {

/// Moments are numbered 0 .. moments - 1. One that has passed ends its wait at once, and late.
template <class Device>
class Waits;

template <>
class Waits<ops::Cpu> {
 public:
  Waits(ops::Cpu& device, int moments, Alarm::Wait wait);
  void load(std::span<const double> at_s);
  void begin() { origin_ = Alarm::Clock::now(); }
  void pause() { paused_ = Alarm::Clock::now(); }
  void resume() { origin_ += Alarm::Clock::now() - paused_; }
  void until(int moment);
  std::vector<double> late_s() const { return late_s_; }

 private:
  Alarm alarm_;
  Alarm::Clock::time_point origin_, paused_;
  std::vector<double> at_s_, late_s_;
};

template <>
class Waits<ops::Cuda> {
 public:
  /// `device` outlives it.
  Waits(ops::Cuda& device, int moments);
  /// When each moment is, s since the begin() before its wait. Not while a graph is recorded.
  void load(std::span<const double> at_s);
  void begin();            ///< enqueues: the origin is when the stream comes here
  void pause();            ///< enqueues: from here to resume() no time passes for moments
  void resume();           ///< enqueues
  void until(int moment);  ///< enqueues
  /// How late each moment's last wait ended, s. Waits for the stream.
  std::vector<double> late_s();

 private:
  ops::Cuda& device_;
  ops::Buffer<ops::Cuda, std::int64_t> origin_ns_, paused_ns_, at_ns_, late_ns_;  // (1), (1), (moments), (moments)
};

}  // namespace gpumonth::trainer
