// All-reduces to be measured, over the kind of memory that a transport keeps gradients in.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace gpumonth::comm {

/// Made by Communicator::make_timed_all_reduce(); holds room for its `count` floats. write(), read() and
/// clear() are this rank's alone; run() is collective. `count` of each call is at most that of the making.
class TimedAllReduce {
 public:
  virtual ~TimedAllReduce() = default;
  virtual void write(std::span<const float> values) = 0;
  virtual void read(std::span<float> values) = 0;
  virtual void clear(std::int64_t count) = 0;
  /// Sums the first `count` values over all ranks in place, `repeats` times back to back; s that each took here.
  virtual std::vector<double> run(std::int64_t count, int repeats) = 0;
  /// What takes the time: "host clock", "CUDA events".
  virtual std::string clock() const = 0;
};

}  // namespace gpumonth::comm
