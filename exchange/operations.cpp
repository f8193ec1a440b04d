#include "exchange/operations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gpumonth::exchange {

using runlog::BucketRecord;
using runlog::Run;
using runlog::StepRecord;

const char* name(Kind kind) {
  switch (kind) {
    case Kind::data: return "data";
    case Kind::forward: return "forward";
    case Kind::backward: return "backward";
    case Kind::wait: return "waiting for communication";
    case Kind::optimizer: return "optimizer";
    case Kind::other: return "other";
    case Kind::busy: return "busy";
    case Kind::bucket_wait: return "bucket waiting";
    case Kind::collective: return "bucket on the wire";
  }
  return "";
}

const char* name(Source source) {
  switch (source) {
    case Source::measured: return "measured";
    case Source::placed: return "placed";
    case Source::scaled: return "scaled";
  }
  return "";
}

const char* name(runlog::Phase phase) {
  switch (phase) {
    case runlog::Phase::warm_up: return "warm_up";
    case runlog::Phase::steady: return "steady";
    case runlog::Phase::checkpoint: return "checkpoint";
  }
  return "";
}

namespace {

/// Less is what rounding leaves of a difference of times, s.
constexpr double kNoTime = 1e-12;

/// Operations one behind the other; what takes no time is left out.
class Sequence {
 public:
  Sequence(const StepRecord& step, std::vector<Operation>& list) : list_(list), now_s_(step.start_time_s) {
    next_.step = step.step;
  }

  void add(Kind kind, double duration_s, Source source = Source::measured, int bucket = -1) {
    if (!(duration_s > kNoTime)) return;
    next_.kind = kind;
    next_.source = source;
    next_.bucket = bucket;
    next_.start_s = now_s_;
    next_.duration_s = duration_s;
    list_.push_back(next_);
    now_s_ += duration_s;
  }

 private:
  std::vector<Operation>& list_;
  Operation next_;
  double now_s_;
};

double backward_begins(const StepRecord& step) { return step.data_s + step.forward_s; }

/// In logs of commits before 4d42a10 a bucket's times are since backward began (docs/runlog.md): no gradient is ready
/// before that.
bool counts_from_backward(const StepRecord& step, const std::vector<BucketRecord>& buckets) {
  return std::ranges::any_of(buckets, [&](const BucketRecord& b) { return b.ready_s < backward_begins(step) - 1e-9; });
}

void shift(std::vector<BucketRecord>& buckets, double by_s) {
  for (auto& bucket : buckets) {
    bucket.ready_s += by_s;
    bucket.start_s += by_s;
    bucket.end_s += by_s;
  }
}

/// Backward up to where each bucket was ready, and its rest.
void add_backward(Sequence& sequence, const StepRecord& step, const std::vector<BucketRecord>& buckets) {
  const double begin = backward_begins(step), end = begin + step.backward_s;
  double now = begin;
  for (const auto& bucket : buckets) {
    const double ready = std::clamp(bucket.ready_s, now, end);
    sequence.add(Kind::backward, ready - now, Source::measured, bucket.bucket);
    now = ready;
  }
  sequence.add(Kind::backward, end - now);
}

/// Of exposed_comm_s, what the step waited for its buckets; the rest is other communication at the step's end.
double wait_for_buckets(const StepRecord& step, const std::vector<BucketRecord>& buckets) {
  if (buckets.empty()) return step.exposed_comm_s;
  double last = 0;
  for (const auto& bucket : buckets) last = std::max(last, bucket.end_s);
  return std::clamp(last - backward_begins(step) - step.backward_s, 0.0, step.exposed_comm_s);
}

}  // namespace

Timeline::Timeline(const Run& run, StepSelection selection)
    : run_(run), selection_(std::move(selection)),
      reduction_(run.info.config_toml.find("sharding = \"optimizer\"") != std::string::npos ||
                         run.info.config_toml.find("sharding = \"full\"") != std::string::npos
                     ? Reduction::reduce_scatter
                     : Reduction::all_reduce) {
  for (const StepRecord* step : steps()) buckets_[step->step];
  for (const auto& bucket : run.buckets)
    if (const auto found = buckets_.find(bucket.step); found != buckets_.end()) found->second.push_back(bucket);
  bool from_backward = false;
  for (const StepRecord* step : steps()) {
    auto& of_step = buckets_[step->step];
    std::ranges::stable_sort(of_step, {}, &BucketRecord::bucket);
    from_backward |= counts_from_backward(*step, of_step);
  }
  if (from_backward) {
    for (const StepRecord* step : steps()) shift(buckets_[step->step], backward_begins(*step));
    notes_.push_back("the log is of an older version, and counts the times of buckets from the start of backward");
  }
  for (std::size_t row = 0; row < run.rank_steps.size(); ++row) rank_rows_[run.rank_steps[row]] = row;
  find_notes();
}

void Timeline::find_notes() {
  std::size_t without_buckets = 0, without_ranks = 0;
  for (const StepRecord* step : steps()) {
    without_buckets += buckets(*step).empty();
    without_ranks += !rank_rows_.contains(step->step);
  }
  if (ranks() == 1) return;
  if (without_buckets > 0)
    notes_.push_back(fmt::format(
        "{} of {} steps have no timeline of gradient buckets (log.bucket_every): of their communication only what the "
        "step waited for is known",
        without_buckets, steps().size()));
  if (without_ranks > 0)
    notes_.push_back(
        fmt::format("of {} of {} steps nothing is known of the other ranks", without_ranks, steps().size()));
  if (without_ranks < steps().size())
    notes_.push_back("of ranks other than 0 the log has the busy time of a step, not when what was done");
}

const std::vector<BucketRecord>& Timeline::buckets(const StepRecord& step) const { return buckets_.at(step.step); }

double Timeline::busy_s(const StepRecord& step, int rank) const {
  const auto row = rank_rows_.find(step.step);
  if (row == rank_rows_.end()) return std::numeric_limits<double>::quiet_NaN();
  const std::size_t place = row->second * static_cast<std::size_t>(ranks()) + static_cast<std::size_t>(rank);
  return place < run_.rank_step_time_s.size() ? run_.rank_step_time_s[place] : std::numeric_limits<double>::quiet_NaN();
}

double Timeline::stretch(const StepRecord& step, int rank) const {
  const double own = busy_s(step, rank), of_rank_0 = busy_s(step, 0);
  return rank > 0 && own > 0 && of_rank_0 > 0 ? own / of_rank_0 : 1;
}

std::vector<Operation> Timeline::compute_of_rank_0(const StepRecord& step) const {
  const auto& of_step = buckets(step);
  std::vector<Operation> list;
  Sequence sequence(step, list);
  sequence.add(Kind::data, step.data_s);
  sequence.add(Kind::forward, step.forward_s);
  add_backward(sequence, step, of_step);
  const double for_buckets = wait_for_buckets(step, of_step);
  sequence.add(Kind::wait, for_buckets, of_step.empty() ? Source::placed : Source::measured);
  sequence.add(Kind::optimizer, step.optimizer_s);
  sequence.add(Kind::wait, step.exposed_comm_s - for_buckets, Source::placed);
  const double known = step.data_s + step.forward_s + step.backward_s + step.exposed_comm_s + step.optimizer_s;
  sequence.add(Kind::other, step.step_time_s - known, Source::placed);
  return list;
}

void Timeline::add_buckets(const StepRecord& step, std::vector<Operation>& list) const {
  if (ranks() == 1) return;  // a bucket of one rank is ready, and goes nowhere
  for (const auto& b : buckets(step)) {
    Operation bucket{.step = step.step, .kind = Kind::bucket_wait, .bucket = b.bucket, .bytes = b.bytes};
    bucket.start_s = step.start_time_s + b.ready_s;
    bucket.duration_s = std::max(0.0, b.start_s - b.ready_s);
    if (bucket.duration_s > 0) list.push_back(bucket);
    bucket.kind = Kind::collective;
    bucket.start_s = step.start_time_s + b.start_s;
    bucket.duration_s = std::max(0.0, b.end_s - b.start_s);
    list.push_back(bucket);
  }
}

std::vector<Operation> Timeline::operations(const StepRecord& step, int rank) const {
  if (rank == 0) {
    std::vector<Operation> list = compute_of_rank_0(step);
    add_buckets(step, list);
    return list;
  }
  const double busy = busy_s(step, rank);
  if (!(busy > 0)) return {};
  return {{.rank = rank,
           .step = step.step,
           .kind = Kind::busy,
           .start_s = step.start_time_s,
           .duration_s = busy,
           .source = Source::placed}};
}

}  // namespace gpumonth::exchange
