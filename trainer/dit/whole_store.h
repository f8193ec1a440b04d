// The state whole: a copy on every rank, or one that the ranks of a host hold in common and update a part each of; with
// comm.sharding = "optimizer" moments and EMA by shares (ZeRO stage 1). Included only where it is instantiated.
#pragma once

#include <algorithm>

#include "trainer/dit/dit_model.h"
#include "trainer/dit/init.h"
#include "trainer/ops/grad_norm.h"
#include "trainer/state/optimizer_state.h"
#include "trainer/state/parameter_store.h"

namespace gpumonth::trainer {

template <class Device, class T>
class WholeStore final : public ParameterStore {
 public:
  /// `model` and `table` outlive it. Collective over the ranks of model.memory().
  WholeStore(DitModel<Device, T>& model, const DitSetup& setup, const model::ParameterTable& table)
      : model_(model), table_(table), seed_(setup.seed), consistency_(setup.consistency),
        optimizer_(model.device(), model.memory(), model.master_weights(), table.flat_size()),
        partial_norms_(model.memory().template take<double>(ops::norm_blocks(model.flat_size()))) {}

  void begin(ops::Cpu cpu) override {
    if (owned()) {
      float* const parameters = model_.parameters();
      if (consistency_)
        std::copy(consistency_->teacher.begin(), consistency_->teacher.end(), parameters);
      else
        initialize_parameters(cpu, table_, seed_, parameters);
      if (Device::kHostMemory) optimizer_.begin_ema();
    }
    model_.parameters_changed();
    if (!Device::kHostMemory) optimizer_.begin_ema();
    consistency_ = nullptr;
  }

  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) override {
    reducer_ = &reducer;
    if (!sharded || ranks.size() == 1) return;
    optimizer_.shard(reducer.owned(), ranks);
    const auto cuts = static_cast<std::int64_t>(model_.segments().size() + reducer.buckets().size());
    partial_norms_ = ops::Buffer<Device, double>(model_.device(), ops::shard_norm_blocks(model_.flat_size(), cuts));
  }

  void forget_host() override {
    model_.forget_host();
    optimizer_.forget_host();
  }

  void update(const ops::AdamWStep* step, ops::Clipping* clipping, double clip_norm) override {
    optimizer_.sharded() ? update_shard(step, clipping, clip_norm) : update_all(step, clipping, clip_norm);
  }

  TrainingState host() override {
    TrainingState all = optimizer_.host();
    all.parameters = model_.parameters();
    return all;
  }
  void changed() override {
    optimizer_.write_back();
    model_.parameters_changed();
  }
  bool owned() const override { return memory().part() == 0; }
  bool shared() const override { return memory().parts() > 1; }
  std::span<const float> replica() override {
    return {model_.parameters(), static_cast<std::size_t>(model_.flat_size())};
  }

 private:
  StateMemory<Device>& memory() { return model_.memory(); }
  const StateMemory<Device>& memory() const { return model_.memory(); }

  /// This rank's part; then every rank gets everybody's parameters, and packs them all.
  void update_shard(const ops::AdamWStep* step, ops::Clipping* clipping, double clip_norm) {
    Device& device = model_.device();
    const float* gradients = model_.gradient_buffer();
    // The ranks' partial sums lie one on the other and are added by position.
    std::int64_t block = 0;
    for (const auto& [at, count] : optimizer_.owned()) {
      const std::int64_t blocks = ops::norm_blocks(count);
      ops::squares_by_block(device, gradients + at, count, 0, blocks, partial_norms_.get() + block);
      block += blocks;
    }
    // no values, so zero: the last step's sums stand there
    ops::squares_by_block(device, gradients, 0, 0, partial_norms_.size() - block, partial_norms_.get() + block);
    reducer_->sum(partial_norms_.get(), partial_norms_.size());
    ops::clipping(device, partial_norms_.get(), partial_norms_.size(), clip_norm, clipping);
    optimizer_.update_owned(step, clipping, gradients);
    reducer_->gather(model_.master_weights());
    model_.pack_owned();
  }

  /// The norm's blocks, then AdamW's segments, are shared out over the ranks that hold the state in common.
  void update_all(const ops::AdamWStep* step, ops::Clipping* clipping, double clip_norm) {
    const std::int64_t blocks = ops::norm_blocks(model_.flat_size());
    const std::int64_t first = blocks * memory().part() / memory().parts();
    const std::int64_t last = blocks * (memory().part() + 1) / memory().parts();
    ops::squares_by_block(model_.device(), model_.gradient_buffer(), model_.flat_size(), first, last,
                          partial_norms_.get() + first);
    memory().barrier();
    ops::clipping(model_.device(), partial_norms_.get(), blocks, clip_norm, clipping);
    const auto update = [&](const comm::Segment& part) {
      optimizer_.update(part, step, clipping, model_.gradient_buffer(), model_.adamw_weights(part.offset));
    };
    if constexpr (Device::kPacksWeights) {
      for (const int segment : model_.owned()) {
        update(model_.segments()[static_cast<std::size_t>(segment)]);
        model_.pack(segment);
      }
    } else {
      update({0, model_.flat_size()});
    }
    memory().barrier();
  }

  DitModel<Device, T>& model_;
  const model::ParameterTable& table_;
  std::uint64_t seed_;
  std::shared_ptr<const ConsistencySetup> consistency_;  // until begin()
  OptimizerState<Device> optimizer_;
  ops::Buffer<Device, double> partial_norms_;
  comm::GradientReducer* reducer_ = nullptr;
};

}  // namespace gpumonth::trainer
