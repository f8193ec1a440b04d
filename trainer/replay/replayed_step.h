// A recorded training step in the place of the DiT's: every gradient bucket goes to the real reducer at its recorded ready
// time, and for as long as the recorded compute took this rank waits (waits.h), or is busy with nothing.
//
//   CPU rank   other        | forward | backward: bucket, bucket, ... | wait for the reducer | update | data
//   GPU        other, data  | forward | ...                                                  | update
//
// With full sharding the passes need() and are done() with weights as the DiT's are (replay/pass_events.h), and ranks that
// share samples exchange as many bytes as theirs, in each micro-batch. Waits end at absolute times, counted from the start of the
// step and from the end of the reduction, so lateness does not add up; what passes wait for weights and exchanges moves what
// is behind it. What the loop itself does between two steps is a part of other_s, as a replay does that work, too. Data of a GPU
// are loaded while it computes, and what it waits for them is time that it idles: there, before the next step.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "comm/sharded_storage.h"
#include "replay/layout.h"
#include "replay/replayed_steps.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

/// What a rank does while recorded compute would run.
enum class ComputeStandIn {
  sleeps,  ///< as beside a GPU
  busy,    ///< one thread computes nothing: communication shares the rank's core with it, as with CPU training
};

struct ReplaySetup {
  const replay::Recording& recording;  ///< outlives the step
  replay::WhatIf changes;
  std::uint64_t seed = 1;
  bool adds = true;  ///< false with --reduce none
  ComputeStandIn compute = ComputeStandIn::sleeps;
};

/// How late waits ended, of the rank that was latest.
struct Lateness {
  double late_s = 0;  ///< a step in the mean
  double share = 0;   ///< of the step
};

class ReplayedStep : public TrainingStep {
 public:
  /// Gradients of the recorded sizes times WhatIf::byte_scale. Buckets are planned of these, so their size is to be scaled, too.
  const std::vector<comm::Segment>& segments() const override { return segments_; }
  std::int64_t batch_per_rank() const { return steps_.batch_per_rank(); }

  float* gradient_buffer() override { return gradients_.get(); }
  std::unique_ptr<Dataset> make_dataset() override;  ///< samples of nothing, in the recorded time
  comm::StandIn stand_in() const override { return stand_in_; }
  void describe(runlog::RunInfo& info) const override;  ///< whose compute this is

  /// Collective, the same on every rank. Of the steps after the first `warm_up`, or of all where there are no more.
  Lateness lateness(std::int64_t warm_up);

 protected:
  /// Collective.
  ReplayedStep(const ReplaySetup& setup, comm::Transport& transport);

  const replay::StepTimes& now() const { return now_; }  ///< of the step in progress
  /// Of now().other_s, what the loop's work since the step before has left.
  double idle_s() const { return idle_s_; }
  double update_s() const;                                          ///< what the update takes, which ranks may share
  const replay::RecordedConfig& config() const { return config_; }  ///< as changed
  /// What a micro-batch's passes ask for. `buckets`: the reducer's.
  replay::PassEvents passes(std::span<const comm::Bucket> buckets) const;
  /// Of full sharding with several ranks: who holds what of the scaled segments, and where those lie while they are whole. Null:
  /// weights are whole.
  const comm::ShardLayout* layout() const { return layout_ ? &*layout_ : nullptr; }
  bool gathers_bf16() const { return replay::gathers_bf16(recording_); }
  /// That a rank sends and keeps, of a tensor in an all-to-all: whole 4 bytes for each.
  std::int64_t exchanged_bytes() const;
  comm::Transport& transport() const { return transport_; }

  void begin(std::int64_t step);
  /// How late backward, and the update or the data behind it, ended.
  void end(double backward_late_s, double update_late_s);
  /// The next batch is loaded, in the thread of the loop; called between start() and finish().
  virtual void pass_data() = 0;

 private:
  class RecordedData;
  using Clock = std::chrono::steady_clock;

  const replay::Recording& recording_;
  const replay::WhatIf changes_;
  const replay::RecordedConfig config_;
  replay::ReplayedSteps steps_;
  comm::StandIn stand_in_;
  comm::Transport& transport_;
  comm::Communicator& ranks_;
  std::vector<comm::Segment> segments_;
  std::optional<comm::ShardLayout> layout_;
  std::shared_ptr<float[]> gradients_;

  replay::StepTimes now_;
  double idle_s_ = 0;
  double finished_cpu_s_ = -1;  ///< processor time of this thread when the step before was finished
  Clock::time_point finished_;
  struct StepLateness {
    Clock::time_point began;
    double late_s = 0;
  };
  std::vector<StepLateness> lateness_;  ///< by step
};

/// Collective. On the GPU of this rank where the transport gives it one, else on its CPU cores. UserError: changes out of
/// range; on a GPU gradients that do not fit into its memory, ComputeStandIn::busy, adds == false.
std::unique_ptr<ReplayedStep> make_replayed_step(const ReplaySetup& setup, comm::Transport& transport);

/// What it chooses between. Of replayed_step_cuda.cpp and backend_stub.cpp one is built.
std::unique_ptr<ReplayedStep> make_cpu_replayed_step(const ReplaySetup& setup, comm::Transport& transport);
std::unique_ptr<ReplayedStep> make_cuda_replayed_step(const ReplaySetup& setup, comm::Transport& transport);

}  // namespace gpumonth::trainer
