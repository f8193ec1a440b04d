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
  std::string description() const override { return "one rank"; }
  void all_reduce_sum(std::span<float>) override {}
  void all_reduce_sum(std::span<double>) override {}
  void reduce_scatter_sum(std::span<float>) override {}
  void all_gather(std::span<float>) override {}
  void all_to_all(std::span<const float> sent, std::span<float> received) override;
  void broadcast(std::span<std::byte>, int) override {}
  void barrier() override {}
  std::vector<float> gather(std::span<const float> values, int) override { return {values.begin(), values.end()}; }
  std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
  [[noreturn]] void abort(const std::string& message, int exit_code) override;
  std::unique_ptr<Communicator> duplicate(const char*) override { return std::make_unique<SelfCommunicator>(); }
  std::unique_ptr<Communicator> split(int, const char*) override { return std::make_unique<SelfCommunicator>(); }
};

}  // namespace gpumonth::comm
