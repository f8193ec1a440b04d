#include "trainer/replay/replayed_step.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "model/gradient_segments.h"
#include "trainer/data/data.h"

namespace gpumonth::trainer {
namespace {

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

/// The segments where they lie in a training's storage, those of products in the compute type: blocks in turn in two slots,
/// what is no block behind them.
std::vector<comm::ShardedSegment> sharded(const std::vector<Segment>& segments, int depth) {
  const model::SegmentOrder order{depth};
  const auto aligned = [](std::int64_t values) { return (values + 15) / 16 * 16; };
  std::int64_t used[comm::kBlockSlots + 1] = {}, room[comm::kBlockSlots + 1] = {};
  std::vector<comm::ShardedSegment> all;
  for (int s = 0, unit = comm::kOuterUnit; s < order.count(); ++s) {
    const std::size_t slot = comm::slot_of(order.layer(s));
    if (order.layer(s) != unit && order.is_block(s)) used[slot] = 0;
    unit = order.layer(s);
    const Segment& flat = segments[static_cast<std::size_t>(s)];
    all.push_back({flat, unit, used[slot], order.is_product(s)});
    used[slot] += aligned(flat.count);
    room[slot] = std::max(room[slot], used[slot]);
  }
  for (comm::ShardedSegment& s : all) s.at = std::accumulate(room, room + comm::slot_of(s.unit), s.at);
  return all;
}

}  // namespace

/// Samples that take the recorded time and hold nothing. The first ones come before any step, and take none.
class ReplayedStep::RecordedData final : public Dataset {
 public:
  explicit RecordedData(ReplayedStep& step) : step_(step) {}
  std::int64_t size() const override { return std::int64_t{1} << 40; }
  std::string description() const override { return "no data, their recorded time passes"; }
  DatasetIdentity identity() const override { return {}; }
  void read(std::span<const std::int64_t> indices, float*, std::int32_t* labels) override {
    std::fill_n(labels, indices.size(), 0);
    if (!step_.lateness_.empty()) step_.pass_data();
  }

 private:
  ReplayedStep& step_;
};

ReplayedStep::ReplayedStep(const ReplaySetup& setup, comm::Transport& transport)
    : recording_(setup.recording), changes_(setup.changes),
      config_(replay::changed(setup.recording.config, setup.changes)),
      steps_(setup.recording, setup.changes, setup.seed), stand_in_{setup.adds, setup.changes.byte_scale,
                                                                    transport.gpu() < 0 && config_.wire == "bf16"},
      transport_(transport), ranks_(transport.ranks()),
      segments_(scaled(setup.recording.segments, setup.changes.byte_scale)) {
  std::int64_t size = 0;
  for (const Segment& s : segments_) size = std::max(size, s.offset + s.count);
  if (const int ranks = config_.shard_ranks(ranks_.size()); ranks > 1) {
    layout_.emplace(sharded(segments_, config_.model.depth), ranks_.rank() % ranks, ranks);
    size = layout_->storage_size();
  }
  gradients_ = transport.allocate(size);
  // pages of the host's memory that were never written are one and the same
  if (transport.gpu() < 0) std::fill_n(gradients_.get(), size, 0.0f);
}

/// What other ranks kept the loop waiting is none of its work: that takes no processor time.
void ReplayedStep::begin(std::int64_t step) {
  lateness_.push_back({.began = Clock::now()});
  now_ = steps_.at(step, ranks_.rank());
  const double own_s = finished_cpu_s_ < 0 ? 0 : thread_cpu_s() - finished_cpu_s_;
  idle_s_ = now_.other_s - own_s;  // below zero where the loop took longer: that is lateness
}

void ReplayedStep::end(double backward_late_s, double update_late_s) {
  lateness_.back().late_s = backward_late_s + update_late_s;
  finished_ = Clock::now();
  finished_cpu_s_ = thread_cpu_s();
}

double ReplayedStep::update_s() const {
  const int ranks = ranks_.size();
  return now_.optimizer_s * replay::update_scale(recording_, config_, ranks, ranks_.local_size() == ranks);
}

replay::PassEvents ReplayedStep::passes(std::span<const comm::Bucket> buckets) const {
  return replay::passes_of(recording_, config_, buckets, layout_.has_value());
}

std::int64_t ReplayedStep::exchanged_bytes() const {
  const std::int64_t unit = 4 * std::int64_t{config_.sequence_parallel};
  const double bytes =
      stand_in_.byte_scale * static_cast<double>(replay::exchanged_bytes(recording_, config_, batch_per_rank()));
  return unit * std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(bytes / static_cast<double>(unit))));
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
  info.gathers_weights = layout_.has_value();
  info.sequence_ranks = config_.sequence_parallel;
  info.source_run = fmt::format("{}", fmt::join(recording_.paths, ", "));
  info.source_changes = replay::to_text(changes_);
  const auto add = [&](const char* note) {
    info.source_changes += (info.source_changes.empty() ? "" : "; ") + std::string(note);
  };
  if (!stand_in_.adds) add("gradients sent, not added");
  if (recording_.ready.estimated) add("ready times estimated");
}

Lateness ReplayedStep::lateness(std::int64_t warm_up) {
  const auto steps = static_cast<std::int64_t>(lateness_.size());
  const std::int64_t first = steps > warm_up ? warm_up : 0;
  double late_s = 0;
  for (std::int64_t s = first; s < steps; ++s) late_s += lateness_[static_cast<std::size_t>(s)].late_s;
  const double all_s =
      steps > 0 ? std::chrono::duration<double>(finished_ - lateness_[static_cast<std::size_t>(first)].began).count()
                : 0;
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

std::unique_ptr<ReplayedStep> make_replayed_step(const ReplaySetup& setup, comm::Transport& transport) {
  if (transport.gpu() < 0) return make_cpu_replayed_step(setup, transport);
  if (setup.compute == ComputeStandIn::busy)
    user_error(
        "--compute busy takes a rank's core, which compute on a GPU does not: leave it out with --transport nccl");
  if (!setup.adds)
    user_error("--reduce none is for host memory, NCCL adds what it sends: leave it out with --transport nccl");
  return make_cuda_replayed_step(setup, transport);
}

}  // namespace gpumonth::trainer
