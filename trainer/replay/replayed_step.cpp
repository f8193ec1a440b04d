#include "trainer/replay/replayed_step.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <time.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "machine/machine.h"
#include "trainer/data/data.h"
#include "trainer/ops/grad_norm.h"

namespace gpumonth::trainer {
namespace {

using Clock = Alarm::Clock;

Clock::duration ticks(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

double thread_cpu_s() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Segments that adjoin still do, so that their buckets are the recorded ones.
std::vector<Segment> scaled(const std::vector<Segment>& recorded, double scale) {
  const auto at = [scale](std::int64_t place) { return static_cast<std::int64_t>(scale * static_cast<double>(place)); };
  std::vector<Segment> all;
  for (const Segment& s : recorded) all.push_back({at(s.offset), at(s.offset + s.count) - at(s.offset)});
  return all;
}

double total_scale(const replay::Recording& recording, const replay::WhatIf& changes) {
  return changes.byte_scale * (replay::changed(recording.config, changes).wire == "bf16" ? 0.5 : 1);
}

/// Ranks of one kernel, which tells hosts that are containers of one machine, share its cores.
bool has_own_core(comm::Communicator& ranks) {
  std::string kernel;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> kernel;
  const std::vector<std::string> all = ranks.all_gather(kernel);
  const machine::Machine machine = machine::this_machine();
  const double cores = machine.cgroup_cores > 0 ? machine.cgroup_cores : machine.cores_of_host;
  return static_cast<double>(std::count(all.begin(), all.end(), kernel)) <= cores;
}

Alarm::Wait waiting(ComputeStandIn compute, comm::Communicator& ranks) {
  if (compute == ComputeStandIn::busy) return Alarm::Wait::busy;
  return has_own_core(ranks) ? Alarm::Wait::sleep_spin : Alarm::Wait::sleep;
}

}  // namespace

/// Samples that take the recorded time and hold nothing.
class ReplayedStep::RecordedData final : public Dataset {
 public:
  explicit RecordedData(ReplayedStep& step) : step_(step) {}
  std::int64_t size() const override { return std::int64_t{1} << 40; }
  std::string description() const override { return "no data, their recorded time passes"; }
  DatasetIdentity identity() const override { return {}; }
  void read(std::span<const std::int64_t> indices, float*, std::int32_t* labels) override {
    std::fill_n(labels, indices.size(), 0);
    step_.pass_data();
  }

 private:
  ReplayedStep& step_;
};

ReplayedStep::ReplayedStep(const replay::Recording& recording, const replay::WhatIf& changes, std::uint64_t seed,
                           bool adds, comm::Transport& transport, ComputeStandIn compute)
    : recording_(recording), changes_(changes), steps_(recording, changes, seed), adds_(adds),
      ranks_(transport.ranks()), byte_scale_(total_scale(recording, changes)),
      segments_(scaled(recording.segments, byte_scale_)), alarm_(waiting(compute, transport.ranks())) {
  if (transport.name() == "nccl")
    user_error("replay over NCCL is not built: its waits would have to pass on the GPU. Use --transport mpi");
  std::int64_t size = 0;
  for (const Segment& s : segments_) size = std::max(size, s.offset + s.count);
  gradients_ = transport.allocate(size);
  std::fill_n(gradients_.get(), size, 0.0f);  // pages that were never written are one and the same
}

void ReplayedStep::attach(comm::GradientReducer& reducer, comm::Communicator& ranks, bool sharded) {
  reducer_ = &reducer;
  sharded_ = sharded && ranks.size() > 1;
  std::int64_t values = 0;
  for (const Segment& s : segments_) values += s.count;
  if (sharded_) partial_norms_.assign(static_cast<std::size_t>(ops::norm_blocks(values)), 0.0);
}

void ReplayedStep::start(const Batch&, const OptimizerSettings&, std::int64_t step) {
  reducer_->begin_step(step);
  lateness_.push_back({.began = Clock::now()});
  now_ = steps_.at(step, ranks_.rank());
  forward_begins_ = forward_begins();
  const Time backward = forward_begins_ + ticks(now_.forward_s);
  alarm_.sleep_until(backward);
  backward_begins_ = Clock::now();
  reducer_->begin_backward();
  pass_backward(backward);
  reducer_->wait();
  reduced_ = Clock::now();
  pass_update();
}

/// Once other_s is over, of which the loop's work since the step before is a part. What other ranks kept it waiting is
/// none: that takes no processor time.
Alarm::Clock::time_point ReplayedStep::forward_begins() const {
  const double own_s = finished_cpu_s_ < 0 ? 0 : thread_cpu_s() - finished_cpu_s_;
  return Clock::now() + ticks(now_.other_s - own_s);  // in the past where the loop took longer: that is lateness
}

void ReplayedStep::pass_backward(Time begins) {
  ready_s_.clear();
  int segment = 0;
  for (const comm::Bucket& bucket : reducer_->buckets()) {
    if (segment <= bucket.last_segment) {
      const double share = recording_.ready.share[static_cast<std::size_t>(bucket.last_segment)];
      alarm_.sleep_until(begins + ticks(share * now_.backward_s));
      for (; segment <= bucket.last_segment; ++segment) reducer_->ready(segment);
    }
    ready_s_.push_back(seconds_between(backward_begins_, Clock::now()));
  }
  for (; segment < static_cast<int>(segments_.size()); ++segment) reducer_->ready(segment);  // without values
  const Time ends = begins + ticks(now_.backward_s);
  alarm_.sleep_until(ends);
  backward_ends_ = Clock::now();
  lateness_.back().compute_s = std::max(0.0, seconds_between(ends, backward_ends_));
}

void ReplayedStep::pass_update() {
  if (sharded_) reducer_->sum(partial_norms_.data(), static_cast<std::int64_t>(partial_norms_.size()));
  const double update_s = now_.optimizer_s * replay::update_scale(recording_, sharded_ ? ranks_.size() : 1);
  data_begins_ = Clock::now() + ticks(update_s);
  end_at(data_begins_);
  if (sharded_) {
    reducer_->gather(gradients_.get());
    data_begins_ = Clock::now();
  }
  updated_ = Clock::now();
}

void ReplayedStep::pass_data() {
  if (!lateness_.empty()) end_at(data_begins_ + ticks(now_.data_s));  // the first step's come before any is timed
}

void ReplayedStep::end_at(Time time) {
  alarm_.sleep_until(time);
  lateness_.back().update_s = std::max(0.0, seconds_between(time, Clock::now()));
}

StepResult ReplayedStep::finish() {
  StepResult result;
  result.forward_s = seconds_between(forward_begins_, backward_begins_);
  result.backward_s = seconds_between(backward_begins_, backward_ends_);
  result.optimizer_s = seconds_between(reduced_, updated_);
  result.communication = reducer_->finish();
  result.bucket_ready_s = ready_s_;
  finished_ = Clock::now();
  finished_cpu_s_ = thread_cpu_s();
  return result;
}

std::unique_ptr<Dataset> ReplayedStep::make_dataset() { return std::make_unique<RecordedData>(*this); }

void ReplayedStep::describe(runlog::RunInfo& info) const {
  const runlog::RunInfo& recorded = recording_.info;
  info.model_name = recorded.model_name;
  info.threads_per_rank = recorded.threads_per_rank;
  info.backend = recorded.backend;
  info.dtype = recorded.dtype;
  info.device_name = recorded.device_name;
  info.peak_flops_per_s = recorded.peak_flops_per_s;
  info.peak_source = recorded.peak_source;
  info.gemm_peak_flops_per_s = recorded.gemm_peak_flops_per_s;
  info.origin = runlog::Origin::replayed;
  info.source_run = fmt::format("{}", fmt::join(recording_.paths, ", "));
  info.source_changes = replay::to_text(changes_);
  const auto add = [&](const char* note) {
    info.source_changes += (info.source_changes.empty() ? "" : "; ") + std::string(note);
  };
  if (!adds_) add("gradients sent, not added");
  if (recording_.ready.estimated) add("ready times estimated");
}

Lateness ReplayedStep::lateness(std::int64_t warm_up) {
  const auto steps = static_cast<std::int64_t>(lateness_.size());
  const std::int64_t first = steps > warm_up ? warm_up : 0;
  double late_s = 0;
  for (std::int64_t s = first; s < steps; ++s) {
    const StepLateness& step = lateness_[static_cast<std::size_t>(s)];
    late_s += step.compute_s + step.update_s;
  }
  const double all_s = steps > 0 ? seconds_between(lateness_[static_cast<std::size_t>(first)].began, finished_) : 0;
  const auto count = static_cast<double>(std::max<std::int64_t>(1, steps - first));
  const std::vector<float> mine = {static_cast<float>(late_s / count),
                                   all_s > 0 ? static_cast<float>(late_s / all_s) : 0.0f};
  const std::vector<float> all = ranks_.gather(mine, 0);
  Lateness worst;
  for (std::size_t i = 0; i + 1 < all.size(); i += 2)
    if (all[i + 1] >= worst.share) worst = {all[i], all[i + 1]};
  ranks_.broadcast(std::as_writable_bytes(std::span(&worst, 1)), 0);
  return worst;
}

}  // namespace gpumonth::trainer
