// A collective to be measured, over the kind of memory that a transport keeps gradients in.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "comm/collective.h"

namespace gpumonth::comm {

class Transport;

/// Made by Transport::make_timed(); holds room for its `count` floats, twice where the operation is not in place.
/// write(), read() and clear() are this rank's alone; run() is collective. `count` of each call is at most that of the
/// making.
class TimedCollective {
 public:
  virtual ~TimedCollective() = default;
  virtual void write(std::span<const float> values) = 0;  ///< what is sent
  virtual void read(std::span<float> values) = 0;         ///< what was received
  virtual void clear(std::int64_t count) = 0;             ///< both
  /// Runs it on `count` values, `repeats` times back to back; s that each took here.
  virtual std::vector<double> run(std::int64_t count, int repeats) = 0;
  /// What takes the time: "host clock", "CUDA events".
  virtual std::string clock() const = 0;
};

/// Over ranks() and memory of `transport`, which outlives it.
std::unique_ptr<TimedCollective> make_host_timed(Transport& transport, const Collective& operation, std::int64_t count);

}  // namespace gpumonth::comm
