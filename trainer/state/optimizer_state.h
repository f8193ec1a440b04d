// AdamW's moments and the EMA of the weights on the device, and their host copies for checkpoints.
#pragma once

#include <array>
#include <span>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "comm/gradient_reducer.h"
#include "trainer/ops/adamw.h"
#include "trainer/ops/buffer.h"
#include "trainer/ops/convert.h"
#include "trainer/state/checkpoint.h"
#include "trainer/state/state_memory.h"

namespace gpumonth::trainer {

/// Flat fp32 buffers of the parameter table's size. With sharding, moments and EMA hold this rank's part only.
template <class Device>
class OptimizerState {
 public:
  /// Zeroed; `parameters` are what it updates, on the device. Collective over the ranks of `memory`.
  OptimizerState(Device& device, StateMemory<Device>& memory, float* parameters, std::int64_t flat_size)
      : device_(device), parameters_(parameters), flat_size_(flat_size),
        exp_avg_(memory.template take<float>(flat_size)), exp_avg_sq_(memory.template take<float>(flat_size)),
        ema_(memory.template take<float>(flat_size)) {}

  /// The EMA begins where the parameters do.
  void begin_ema() { ops::convert(device_, flat_size_, parameters_, ema_.get()); }

  /// Before the first update: moments and EMA shrink to `owned`. `ranks` is who host() collects them from.
  void shard(std::vector<comm::Segment> owned, comm::Communicator& ranks) {
    owned_ = std::move(owned);
    ranks_ = &ranks;
    std::int64_t count = 0;
    for (const comm::Segment& part : owned_) count += part.count;
    ops::Buffer<Device, float> ema(device_, count);
    each_owned([&](const comm::Segment& part, std::int64_t at) {
      ops::convert(device_, part.count, ema_.get() + part.offset, ema.get() + at);
    });
    ema_ = std::move(ema);
    exp_avg_ = ops::Buffer<Device, float>(device_, count);
    exp_avg_sq_ = ops::Buffer<Device, float>(device_, count);
  }
  bool sharded() const { return ranks_ != nullptr; }
  /// With sharding, what this rank updates: perhaps nothing.
  const std::vector<comm::Segment>& owned() const { return owned_; }

  /// AdamW and EMA over one part of the unsharded state; `gradients` flat, the rest as for ops::adamw.
  void update(const comm::Segment& part, const ops::AdamWStep* step, const ops::Clipping* clipping,
              const float* gradients, ops::bf16* compute_weights) {
    update(part, part.offset, step, clipping, gradients, compute_weights);
  }
  /// The same over owned().
  void update_owned(const ops::AdamWStep* step, const ops::Clipping* clipping, const float* gradients) {
    each_owned(
        [&](const comm::Segment& part, std::int64_t at) { update(part, at, step, clipping, gradients, nullptr); });
  }

  /// See ResumableState::host(); without the parameters.
  TrainingState host() {
    if (Device::kHostMemory && !sharded()) return {nullptr, ema_.get(), exp_avg_.get(), exp_avg_sq_.get()};
    if (!fetched_) {  // once for all who ask between two steps
      host_ = {collect(ema_), collect(exp_avg_), collect(exp_avg_sq_)};
      fetched_ = true;
    }
    return {nullptr, host_[0].data(), host_[1].data(), host_[2].data()};
  }
  /// What host() handed out is outdated: a step begins.
  void forget_host() { fetched_ = false; }
  /// To the device, if host() handed out copies: somebody may have written to them.
  void write_back() {
    if (!fetched_) return;
    distribute(host_[0], ema_);
    distribute(host_[1], exp_avg_);
    distribute(host_[2], exp_avg_sq_);
  }

 private:
  using Buffer = ops::Buffer<Device, float>;

  /// f(part of the flat buffer, where this rank's moments and EMA of it begin).
  template <class F>
  void each_owned(F&& f) {
    std::int64_t at = 0;
    for (const comm::Segment& part : owned_) {
      f(part, at);
      at += part.count;
    }
  }

  void update(const comm::Segment& part, std::int64_t state_at, const ops::AdamWStep* step,
              const ops::Clipping* clipping, const float* gradients, ops::bf16* compute_weights) {
    const auto [at, count] = part;
    ops::adamw(device_, step, clipping, count, gradients + at, parameters_ + at, exp_avg_.get() + state_at,
               exp_avg_sq_.get() + state_at, ema_.get() + state_at, compute_weights);
  }

  std::vector<float> to_host(const Buffer& buffer) {
    std::vector<float> host(static_cast<std::size_t>(buffer.size()));
    ops::copy_to_host(device_, host.data(), buffer.get(), buffer.bytes());
    return host;
  }

  /// A flat host copy of a state buffer; with sharding every rank's part of it.
  std::vector<float> collect(const Buffer& buffer) {
    if (!sharded()) return to_host(buffer);
    std::vector<float> flat(static_cast<std::size_t>(flat_size_));
    each_owned([&](const comm::Segment& part, std::int64_t at) {
      ops::copy_to_host(device_, flat.data() + part.offset, buffer.get() + at, bytes(part));
    });
    ranks_->all_reduce_sum(std::span<float>(flat));  // the others hold zeros there
    return flat;
  }

  void distribute(const std::vector<float>& flat, const Buffer& buffer) {
    if (!sharded()) return ops::copy_to_device(device_, buffer.get(), flat.data(), buffer.bytes());
    each_owned([&](const comm::Segment& part, std::int64_t at) {
      ops::copy_to_device(device_, buffer.get() + at, flat.data() + part.offset, bytes(part));
    });
  }

  static std::size_t bytes(const comm::Segment& part) { return static_cast<std::size_t>(part.count) * sizeof(float); }

  Device& device_;
  float* parameters_;
  std::int64_t flat_size_;
  Buffer exp_avg_, exp_avg_sq_, ema_;
  std::vector<comm::Segment> owned_;
  comm::Communicator* ranks_ = nullptr;     // with sharding
  std::array<std::vector<float>, 3> host_;  // what host() hands out, in the order of TrainingState
  bool fetched_ = false;                    // it is what the device holds, or will after write_back()
};

}  // namespace gpumonth::trainer
