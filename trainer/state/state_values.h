// The numbers of a training state, tensor by tensor, wherever they lie: what checkpoints are written from and read into, so
// that nobody needs the whole of a state that is held in shards.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace gpumonth::trainer {

enum class StateGroup { parameters, ema, exp_avg, exp_avg_sq };
constexpr std::array kStateGroups = {StateGroup::parameters, StateGroup::ema, StateGroup::exp_avg,
                                     StateGroup::exp_avg_sq};

/// Places are elements of the flat table (model/parameters.h); a call is of one tensor, or a part of it.
class StateValues {
 public:
  virtual ~StateValues() = default;
  virtual bool has(StateGroup group) const = 0;
  /// Host memory with the values, valid until the next call. Where ranks hold them in shards it is collective, and all
  /// ranks get them.
  virtual const float* fetch(StateGroup group, std::int64_t at, std::int64_t count) = 0;
  /// Host memory for new values, valid until the next call; the caller fills it all and says so with store(), which keeps
  /// what this rank holds of them. Not collective.
  virtual float* room(StateGroup group, std::int64_t at, std::int64_t count) = 0;
  virtual void store(StateGroup group, std::int64_t at, std::int64_t count) = 0;
};

/// Host pointers to the flat buffers of a ParameterTable; null where absent.
struct TrainingState {
  float* parameters = nullptr;
  float* ema = nullptr;
  float* exp_avg = nullptr;
  float* exp_avg_sq = nullptr;
};

/// The state that is whole, in host memory.
class WholeState final : public StateValues {
 public:
  explicit WholeState(const TrainingState& state)
      : buffers_{state.parameters, state.ema, state.exp_avg, state.exp_avg_sq} {}
  bool has(StateGroup group) const override { return buffer(group) != nullptr; }
  const float* fetch(StateGroup group, std::int64_t at, std::int64_t) override { return buffer(group) + at; }
  float* room(StateGroup group, std::int64_t at, std::int64_t) override { return buffer(group) + at; }
  void store(StateGroup, std::int64_t, std::int64_t) override {}

 private:
  float* buffer(StateGroup group) const { return buffers_[static_cast<std::size_t>(group)]; }
  std::array<float*, kStateGroups.size()> buffers_;  // in the order of kStateGroups
};

}  // namespace gpumonth::trainer
