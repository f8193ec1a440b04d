// The state in shards (comm.sharding = "full", comm/sharded_storage.h): of every segment a rank holds and updates its part;
// the model has room for two blocks, which the reducer fills with weights and empties of gradients. Included only where it
// is instantiated.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "trainer/dit/dit_model.h"
#include "trainer/dit/init.h"
#include "trainer/ops/adamw.h"
#include "trainer/ops/convert.h"
#include "trainer/ops/grad_norm.h"
#include "trainer/state/parameter_store.h"

namespace gpumonth::trainer {

template <class Device, class T>
class ShardedStore final : public ParameterStore {
 public:
  /// `model`, made from the same `setup` with setup.full, and `table` outlive it.
  ShardedStore(DitModel<Device, T>& model, const DitSetup& setup, const model::ParameterTable& table)
      : model_(model), table_(table), seed_(setup.seed), full_(setup.full), parameters_(make()), gradients_(make()),
        exp_avg_(make()), exp_avg_sq_(make()), ema_(make()),
        partial_norms_(model.device(), ops::norm_blocks(layout().largest_size())),
        storage_{.layout = layout(),
                 .weights = model.master_weights(),
                 .gradients = model.gradient_buffer(),
                 .shard = parameters_.get(),
                 .gradient_shard = gradients_.get(),
                 .passes = static_cast<int>(setup.accumulate)} {
    if constexpr (kTyped) {
      typed_ = ops::Buffer<Device, T>(model.device(), layout().size());
      storage_.typed_weights = model.compute_weights(0);
      storage_.typed_shard = typed_.get();
    }
    model.use_weights({.need = [this](int unit) { need(unit); }, .done = [this](int block) { reducer_->done(block); }});
  }

  void begin(ops::Cpu cpu) override {
    const Initialization initial(table_, seed_);
    for (const model::Parameter& p : table_.all()) {
      initial.fill(cpu, p, room(p.count));
      for (const StateGroup group : {StateGroup::parameters, StateGroup::ema}) store(group, p.offset, p.count);
    }
    changed();
  }

  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool) override {
    reducer_ = &reducer;
    ranks_ = &ranks;
  }
  const comm::ShardedStorage* sharded_storage() const override { return &storage_; }

  void forget_host() override {}
  void begin_passes() override {
    reducer_->begin_passes();
    std::fill(std::begin(ready_), std::end(ready_), comm::GatherOrder::kNone);
  }

  void update(const ops::AdamWStep* step, ops::Clipping* clipping, double clip_norm) override {
    Device& device = model_.device();
    ops::squares_by_block(device, gradients_.get(), layout().size(), 0, partial_norms_.size(), partial_norms_.get());
    reducer_->sum(partial_norms_.get(), partial_norms_.size());
    ops::clipping(device, partial_norms_.get(), partial_norms_.size(), clip_norm, clipping);
    ops::bf16* typed = nullptr;
    if constexpr (kTyped) typed = typed_.get();
    ops::adamw(device, step, clipping, layout().size(), gradients_.get(), parameters_.get(), exp_avg_.get(),
               exp_avg_sq_.get(), ema_.get(), typed);
  }

  std::unique_ptr<StateValues> values() override { return std::make_unique<Values>(*this); }
  TrainingState host() override { throw std::logic_error("host() of a state in shards: use values()"); }
  void changed() override {
    if constexpr (kTyped) ops::convert(model_.device(), layout().size(), parameters_.get(), typed_.get());
    ops::synchronize(model_.device());
  }
  bool owned() const override { return true; }
  bool shared() const override { return false; }
  std::span<const float> replica() override {
    if (Device::kHostMemory) return {parameters_.get(), static_cast<std::size_t>(layout().size())};
    room(layout().size());
    ops::copy_to_host(model_.device(), tensor_.data(), parameters_.get(), parameters_.bytes());
    return tensor_;
  }
  int replica_ranks() const override { return layout().ranks(); }

 private:
  /// On a GPU in bf16 products read bf16 weights, so that is what travels; CPU ranks pack what came in fp32.
  static constexpr bool kTyped = !Device::kPacksWeights && !std::is_same_v<T, float>;

  class Values final : public StateValues {
   public:
    explicit Values(ShardedStore& of) : of_(of) {}
    bool has(StateGroup) const override { return true; }
    const float* fetch(StateGroup group, std::int64_t at, std::int64_t count) override {
      return of_.fetch(group, at, count);
    }
    float* room(StateGroup, std::int64_t, std::int64_t count) override { return of_.room(count); }
    void store(StateGroup group, std::int64_t at, std::int64_t count) override { of_.store(group, at, count); }

   private:
    ShardedStore& of_;
  };

  const comm::ShardLayout& layout() const { return full_->layout; }
  ops::Buffer<Device, float> make() { return {model_.device(), layout().size()}; }
  ops::Buffer<Device, float>& buffer(StateGroup group) {
    switch (group) {
      case StateGroup::parameters: return parameters_;
      case StateGroup::ema: return ema_;
      case StateGroup::exp_avg: return exp_avg_;
      case StateGroup::exp_avg_sq: break;
    }
    return exp_avg_sq_;
  }

  float* room(std::int64_t count) {
    tensor_.resize(static_cast<std::size_t>(count));
    return tensor_.data();
  }

  /// f(its first element in the tensor, elements, where the shard of `rank` has them) of the part that `rank` holds of the
  /// tensor at flat element `at`, where it holds one.
  template <class F>
  void with_part(int rank, std::int64_t at, std::int64_t count, F&& f) const {
    const std::size_t s = layout().segment_with(at);
    const std::int64_t in_segment = at - layout().segments()[s].flat.offset;
    const comm::Segment part = layout().owned(s, rank);
    const std::int64_t from = std::max(in_segment, part.offset);
    const std::int64_t to = std::min(in_segment + count, part.offset + part.count);
    if (from < to) f(from - in_segment, to - from, layout().shard_at(s) + from - part.offset);
  }

  /// From the ranks that hold a part, those of the first group. Collective.
  const float* fetch(StateGroup group, std::int64_t at, std::int64_t count) {
    float* const values = room(count);
    for (int rank = 0; rank < layout().ranks(); ++rank) {
      with_part(rank, at, count, [&](std::int64_t to, std::int64_t n, std::int64_t from) {
        const std::span<float> part(values + to, static_cast<std::size_t>(n));
        if (ranks_->rank() == rank)
          ops::copy_to_host(model_.device(), part.data(), buffer(group).get() + from, part.size_bytes());
        ranks_->broadcast(std::as_writable_bytes(part), rank);
      });
    }
    return values;
  }

  void store(StateGroup group, std::int64_t at, std::int64_t count) {
    with_part(layout().rank(), at, count, [&](std::int64_t from, std::int64_t n, std::int64_t to) {
      ops::copy_to_device(model_.device(), buffer(group).get() + to, tensor_.data() + from,
                          static_cast<std::size_t>(n) * sizeof(float));
    });
  }

  void need(int unit) {
    reducer_->need(unit);
    int& ready = ready_[comm::slot_of(unit)];
    if (ready == unit) return;
    model_.weights_came(unit);
    ready = unit;
  }

  DitModel<Device, T>& model_;
  const model::ParameterTable& table_;
  std::uint64_t seed_;
  std::shared_ptr<const FullSharding> full_;
  ops::Buffer<Device, float> parameters_, gradients_, exp_avg_, exp_avg_sq_, ema_;  // this rank's shard of each
  ops::Buffer<Device, T> typed_;                                                    // of the parameters
  ops::Buffer<Device, double> partial_norms_;
  comm::ShardedStorage storage_;
  std::vector<float> tensor_;              // one tensor on its way between the shards and a file
  int ready_[comm::kBlockSlots + 1] = {};  // unit of each slot, then the outer one, whose weights products can read
  comm::GradientReducer* reducer_ = nullptr;
  comm::Communicator* ranks_ = nullptr;
};

}  // namespace gpumonth::trainer
