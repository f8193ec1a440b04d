// Ranks with a GPU each: gradients are summed by NCCL in GPU memory, everything in host memory goes through
// the host communicator that this one wraps.
#pragma once

#include <memory>
#include <string>

#include "comm/nccl/nccl_ranks.h"
#include "comm/nccl/nccl_transport.h"

namespace gpumonth::comm {

class NcclCommunicator final : public Communicator {
 public:
  /// See make_nccl_communicator(). `device` is the calling thread's current one.
  NcclCommunicator(std::unique_ptr<Communicator> host, std::shared_ptr<Watchdog> watchdog, int device,
                   std::string device_name, double deadline_s);
  ~NcclCommunicator() override;

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  int local_rank() const override { return host_->local_rank(); }
  int local_size() const override { return host_->local_size(); }
  std::string transport() const override { return "nccl"; }
  std::string description() const override;
  int gpu() const override { return device_; }

  void all_reduce_sum(std::span<float> values) override { host_->all_reduce_sum(values); }
  void all_reduce_sum(std::span<double> values) override { host_->all_reduce_sum(values); }
  void broadcast(std::span<std::byte> bytes, int root) override { host_->broadcast(bytes, root); }
  void barrier() override { host_->barrier(); }
  std::vector<float> gather(std::span<const float> values, int root) override { return host_->gather(values, root); }
  std::vector<std::string> all_gather(const std::string& text) override { return host_->all_gather(text); }
  void set_context(const char* phase, std::int64_t step) override { host_->set_context(phase, step); }
  [[noreturn]] void abort(const std::string& message, int exit_code) override;

  /// GPU memory from ncclMemAlloc, registered, where NCCL and the driver can do that; else from cudaMalloc.
  std::shared_ptr<float[]> allocate(std::int64_t count) override;
  std::shared_ptr<std::byte[]> allocate_common(std::size_t) override { return nullptr; }
  std::unique_ptr<GradientReducer> make_reducer(float* gradients, std::vector<Segment> events,
                                                std::int64_t bucket_bytes, void* stream,
                                                const ReducerOptions& options = {}) override;
  std::unique_ptr<TimedAllReduce> make_timed_all_reduce(std::int64_t count) override;
  /// Of the host communicator: collectives in host memory alone.
  std::unique_ptr<Communicator> duplicate(const char* name) override { return host_->duplicate(name); }

 private:
  std::unique_ptr<Communicator> host_;
  int device_;
  std::string device_name_;
  std::shared_ptr<NcclRanks> ranks_;
  std::shared_ptr<NcclStepWatch> step_watch_;
  std::unique_ptr<NcclWatch> watch_;
};

}  // namespace gpumonth::comm
