// One process: every collective is the identity.
#pragma once

#include "comm/communicator.h"

namespace gpumonth::comm {

class SelfCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_rank() const override { return 0; }
  int local_size() const override { return 1; }
  std::string transport() const override { return "self"; }
  std::string description() const override { return "one rank"; }
  void all_reduce_sum(std::span<float>) override {}
  void all_reduce_sum(std::span<double>) override {}
  void broadcast(std::span<std::byte>, int) override {}
  void barrier() override {}
  std::vector<float> gather(std::span<const float> values, int) override { return {values.begin(), values.end()}; }
  std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
  [[noreturn]] void abort(const std::string& message, int exit_code) override;
  std::shared_ptr<float[]> allocate(std::int64_t count) override;
  std::shared_ptr<std::byte[]> allocate_common(std::size_t) override { return nullptr; }
  std::unique_ptr<GradientReducer> make_reducer(float* gradients, std::vector<Segment> events,
                                                std::int64_t bucket_bytes, void* stream,
                                                const ReducerOptions& options = {}) override;
  std::unique_ptr<Communicator> duplicate(const char*) override { return std::make_unique<SelfCommunicator>(); }
  void set_context(const char*, std::int64_t) override {}
};

/// `count` zeroed floats of this process's own memory on a page boundary.
std::shared_ptr<float[]> allocate_private(std::int64_t count);

}  // namespace gpumonth::comm
