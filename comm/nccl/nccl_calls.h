// NCCL's calls as a collective's file in comm/bench/ writes them down; no header of NCCL, so that those files are built
// without it too. Values are fp32, sums sums; each call enqueues on the benchmark's stream.
#pragma once

#include <cstdint>
#include <functional>

namespace gpumonth::comm {

class NcclCalls {
 public:
  virtual ~NcclCalls() = default;
  virtual void all_reduce(const float* sent, float* received, std::int64_t count) = 0;
  virtual void reduce_scatter(const float* sent, float* received, std::int64_t share) = 0;
  virtual void all_gather(const float* sent, float* received, std::int64_t share) = 0;
  virtual void send(const float* values, std::int64_t count, int to) = 0;
  virtual void receive(float* values, std::int64_t count, int from) = 0;
  /// What `calls` enqueues starts together: sends and receives of several ranks need that.
  virtual void group(const std::function<void()>& calls) = 0;
};

}  // namespace gpumonth::comm
