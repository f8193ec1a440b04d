// All-to-alls within groups of consecutive ranks, in the memory that a step computes in: of attention that is split over
// heads (trainer/dit/split_attention.h). Over host memory they are done when run() returns; over NCCL they are ordered on
// the step's stream, and may be recorded in its graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

namespace gpumonth::comm {

class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual int rank() const = 0;  ///< within the group
  virtual int size() const = 0;
  /// Room for what is sent, zeroed, in the memory that the step computes in: where ranks share a host, the others read it
  /// without a copy. Collective over the group, all of whose ranks ask for as many bytes.
  virtual std::shared_ptr<std::byte[]> allocate(std::int64_t bytes) = 0;
  /// Share s of `sent` goes to rank s, where it becomes the share of this rank in `received`; the two do not overlap.
  /// `bytes`, of each of them: size() equal shares of whole 4 bytes, else std::invalid_argument. Collective over the group.
  virtual void run(const void* sent, void* received, std::int64_t bytes) = 0;

 protected:
  /// Of each rank in `bytes`, or std::invalid_argument.
  std::int64_t share_bytes(std::int64_t bytes) const {
    if (bytes % (4 * std::int64_t{size()}) == 0) return bytes / size();
    throw std::invalid_argument(std::to_string(bytes) + " bytes are no equal shares of " + std::to_string(size()) +
                                " ranks in whole floats");
  }
};

}  // namespace gpumonth::comm
