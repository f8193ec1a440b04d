// A recorded training step in the place of the DiT's: every gradient bucket goes to the real reducer at its recorded ready
// time, and for as long as the recorded compute took this rank sleeps, or is busy with nothing.
//
//   start()   other   | forward            | backward: bucket, bucket, ... | wait for the reducer | update
//   loading   data    |                                                                              (make_dataset())
//
// Sleeps end at absolute times, counted from the start of the step and from the end of the reduction, so lateness does not
// add up. What the loop itself does between two steps is a part of other_s, as a replay does that work, too.
#pragma once

#include <memory>
#include <vector>

#include "replay/replayed_steps.h"
#include "trainer/replay/alarm.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

/// What a rank does while recorded compute would run.
enum class ComputeStandIn {
  sleeps,  ///< as beside a GPU
  busy,    ///< one thread computes nothing: communication shares the rank's core with it, as with CPU training
};

/// How late sleeps ended, of the rank that was latest.
struct Lateness {
  double late_s = 0;  ///< a step in the mean
  double share = 0;   ///< of the step
};

class ReplayedStep final : public TrainingStep {
 public:
  /// Collective. Host memory alone: UserError with transport "nccl". `adds`: false with --reduce none.
  ReplayedStep(const replay::Recording& recording, const replay::WhatIf& changes, std::uint64_t seed, bool adds,
               comm::Transport& transport, ComputeStandIn compute = ComputeStandIn::sleeps);

  /// Gradients of the recorded sizes times WhatIf::byte_scale, and half of that where they would travel in bf16, which
  /// host memory does not do. Buckets are planned of these, so their size is to be scaled by byte_scale() as well.
  const std::vector<comm::Segment>& segments() const override { return segments_; }
  double byte_scale() const { return byte_scale_; }
  std::int64_t batch_per_rank() const { return steps_.batch_per_rank(); }

  float* gradient_buffer() override { return gradients_.get(); }
  void* stream() override { return nullptr; }
  void attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) override;
  void start(const Batch& batch, const OptimizerSettings& settings, std::int64_t step) override;
  /// Nothing is trained: loss and gradient norm are 0.
  StepResult finish() override;
  std::unique_ptr<Dataset> make_dataset() override;  ///< samples of nothing, in the recorded time
  comm::StandIn stand_in() const override { return {adds_, byte_scale_}; }
  void describe(runlog::RunInfo& info) const override;  ///< whose compute this is

  /// Collective, the same on every rank. Of the steps after the first `warm_up`, or of all where there are no more.
  Lateness lateness(std::int64_t warm_up);

 private:
  class RecordedData;
  using Time = Alarm::Clock::time_point;

  Time forward_begins() const;
  void pass_backward(Time begins);
  void pass_update();
  void pass_data();
  /// Sleeps until `time`; how late that was is the step's.
  void end_at(Time time);

  const replay::Recording& recording_;
  const replay::WhatIf changes_;
  replay::ReplayedSteps steps_;
  bool adds_;
  comm::Communicator& ranks_;
  bool sharded_ = false;
  double byte_scale_ = 1;
  std::vector<comm::Segment> segments_;
  std::shared_ptr<float[]> gradients_;
  std::vector<double> partial_norms_;  ///< of sharding: summed over the ranks, as the DiT's are
  comm::GradientReducer* reducer_ = nullptr;
  Alarm alarm_;

  replay::StepTimes now_;  ///< of the step in progress
  Time forward_begins_, backward_begins_, backward_ends_, reduced_, updated_, data_begins_, finished_;
  double finished_cpu_s_ = -1;   ///< processor time of this thread then
  std::vector<double> ready_s_;  ///< by bucket, of one rank
  struct StepLateness {
    Time began;
    double compute_s = 0, update_s = 0;  ///< at the end of backward, and of the update or of data behind it
  };
  std::vector<StepLateness> lateness_;  ///< by step
};

}  // namespace gpumonth::trainer
