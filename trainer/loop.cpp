#include "trainer/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/standard_output.h"
#include "comm/gradient_reducer.h"
#include "machine/power.h"
#include "model/flops.h"
#include "runlog/writer.h"
#include "trainer/data/batch_loader.h"
#include "trainer/data/data.h"
#include "trainer/learning_rate.h"
#include "trainer/progress.h"
#include "trainer/shared_cores.h"
#include "trainer/signals.h"
#include "trainer/state/checkpoints.h"

namespace gpumonth::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// Numbers summed over ranks after each step. Every signal that asks to stop has a slot, as ranks may have got
/// different ones, and every rank owns one of `busy`: the sum is a gather that costs no message of its own.
struct Extras {
  explicit Extras(int ranks) : values(kBusy + ranks) {}
  enum { kLoss, kSmallSquares, kDataFailed, kStop, kBusy = kStop + kStopSignals.size() };
  std::vector<double> values;
};

class Loop {
 public:
  Loop(const RunConfig& config, const ResolvedRun& resolved, comm::Transport& transport, TrainingStep& step)
      : config_(config), transport_(transport), comm_(transport.ranks()), resolved_(resolved), table_(config.model),
        step_(step), state_(step.state()),
        reducer_(transport.make_reducer(step.gradient_buffer(), step.segments(),
                                        static_cast<std::int64_t>(config.comm.bucket_mib * 1048576), step.stream(),
                                        reducer_options())),
        dataset_(make_dataset()), loader_(config, *dataset_, comm_), extras_(comm_.size()),
        shared_cores_(resolved_.backend == "cpu" ? resolved_.threads : 1) {
    step_.attach(*reducer_, comm_, reducer_options().shard_optimizer);
    const int sharing = config.run.sequence_parallel;  // ranks that get the same samples
    const std::int64_t local = local_batch(config, comm_.size());
    batch_.latents.resize(local * config.model.latent_size());
    batch_.labels.resize(local);
    batch_.t.resize(local);
    batch_.first_sample = local * (comm_.rank() / sharing);
    optimizer_ = {config.optimizer.learning_rate, config.optimizer.beta1,        config.optimizer.beta2,
                  config.optimizer.epsilon,       config.optimizer.weight_decay, config.optimizer.clip_norm,
                  config.optimizer.ema_decay};
  }

  TrainResult run() {
    runlog::RunInfo info = run_info(config_, resolved_, table_, transport_);
    step_.describe(info);
    small_batch_ = info.small_batch;
    info.start_time_unix_s = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    run_start_ = Clock::now();
    loader_.require_same_dataset();
    Checkpoints checkpoints(resolved_.directory, config_.checkpoint.keep, config_.model, table_, comm_,
                            config_.run.seed, {info.config_toml, dataset_->identity()});
    const std::int64_t start = restore(checkpoints);
    loader_.load_first(start + 1, batch_);
    if (comm_.rank() == 0 && !resolved_.gpu.empty()) power_ = machine::PowerMeter::open(resolved_.gpu);
    if (power_) info.power_source = power_->source();
    open_log(checkpoints, info, start);
    auto notes = checkpoints.notes();
    if (auto note = dataset_->note(); !note.empty()) notes.push_back(std::move(note));
    announce(info, start, notes);

    TrainResult result{.last_step = start, .run_log = log_path_};
    const double peak = info.gemm_peak_flops_per_s * comm_.size();
    Progress progress(config_.run.steps, config_.run.progress_s, peak, "of GEMM rate");
    std::int64_t saved = start;
    step_end_ = Clock::now();
    for (std::int64_t s = start + 1; s <= config_.run.steps && !result.stopped_by_signal; ++s) {
      runlog::StepRecord record = one_step(s);
      const bool last = s == config_.run.steps;
      result.stopped_by_signal = last ? 0 : stop_signal_of_all_;
      const bool due = config_.checkpoint.every_steps > 0 && s % config_.checkpoint.every_steps == 0;
      const bool out_of_data = data_failed_ && !result.stopped_by_signal;
      require_finite(record, checkpoints.last_in_words());
      if (state_ && (due || out_of_data || (last && config_.checkpoint.at_end) || result.stopped_by_signal)) {
        transport_.set_context("checkpoint", s);
        if (log_) log_->flush();  // a checkpoint may take longer than the second that the log may miss
        checkpoints.save(*state_, s);
        record.phase = runlog::Phase::checkpoint;
        saved = s;
      } else {
        record.phase = s - start <= config_.log.steady_after ? runlog::Phase::warm_up : runlog::Phase::steady;
      }
      finish(record, s, progress_of_rank0(progress));
      result.last_step = s;
      result.last_loss = record.loss;
      if (out_of_data) end_without_data(s, checkpoints.last());
    }
    if (log_) log_->close();
    if (saved == result.last_step && saved > start) result.checkpoint = checkpoints.last();
    return result;
  }

 private:
  comm::ReducerOptions reducer_options() const {
    return {.bf16_wire = config_.comm.wire == "bf16",
            .shard_optimizer = config_.comm.sharding == "optimizer" && !(state_ && state_->shared()),
            .stand_in = step_.stand_in(),
            .full = step_.sharded_storage()};
  }

  std::unique_ptr<Dataset> make_dataset() const {
    if (auto own = step_.make_dataset()) return own;
    return config_.data.path.empty() ? make_procedural_dataset(config_.model, config_.run.seed)
                                     : open_latent_dataset(config_.data.path, config_.model);
  }

  /// The step after which run.resume was written; 0 without it.
  std::int64_t restore(Checkpoints& checkpoints) {
    if (state_) return checkpoints.restore(config_.run.resume, *state_, config_.run.steps);
    if (!config_.run.resume.empty() && config_.run.sequence_parallel_emulated > 1)
      user_error(
          "run.resume = {} with run.sequence_parallel_emulated = {}: one rank's share is not a training that goes on: "
          "leave run.resume empty",
          config_.run.resume, config_.run.sequence_parallel_emulated);
    if (!config_.run.resume.empty())
      user_error("run.resume = {}: the step of this run has no state to go on from: leave run.resume empty",
                 config_.run.resume);
    return 0;
  }

  /// Collective, after the checkpoint of step `s` was written, where there are checkpoints.
  [[noreturn]] void end_without_data(std::int64_t s, const std::string& checkpoint) {
    const std::string reason = loader_.error_of_ranks();
    if (log_) log_->close();
    comm_.barrier();
    if (!state_) user_error("step {}: {}. Stopped after step {}, the log is {}", s + 1, reason, s, log_path_);
    user_error(
        "step {}: {}. Stopped after step {}, nothing is lost: its checkpoint is {}, the log is {}. Mend the data, "
        "then go on with --set run.resume={}",
        s + 1, reason, s, checkpoint, log_path_, checkpoint);
  }

  /// Data, forward, backward with communication beside it, update. A GPU works on a step while the next one's data is
  /// loaded, so data_s is what the step really waited for data.
  runlog::StepRecord one_step(std::int64_t s) {
    runlog::StepRecord r;
    r.step = s;
    r.start_time_s = seconds(run_start_, step_end_);
    r.samples = config_.batch.global;
    const model::StepWork work = step_work(config_);
    r.tokens = work.tokens;
    r.model_flops = work.model_flops;
    r.hardware_flops = work.hardware_flops;
    r.learning_rate = optimizer_.learning_rate = learning_rate(config_, s);

    transport_.set_context("step", s);
    step_.start(batch_, optimizer_, s);
    const auto started = Clock::now();
    if (power_) log_power(r);
    transport_.set_context("data", s);
    if (s < config_.run.steps) loader_.load(s + 1, batch_);
    const double load_s = seconds(started, Clock::now());
    transport_.set_context("step", s);
    const StepResult result = step_.finish();
    r.forward_s = result.forward_s;
    r.backward_s = result.backward_s;
    r.comm_s = result.communication.comm_s;
    r.exposed_comm_s = result.communication.exposed_s;
    r.optimizer_s = result.optimizer_s;
    r.grad_norm = result.grad_norm;
    r.exchange_s = result.exchange_s;
    r.exchanged_bytes = result.exchanged_bytes;
    // gathering the parameters of other ranks is communication that nothing overlaps
    r.comm_s += result.communication.gather_s;
    r.exposed_comm_s += result.communication.gather_s;
    r.optimizer_s = std::max(0.0, r.optimizer_s - result.communication.gather_s);
    const double forward_s = r.forward_s;
    if (result.communication.weights) take_gathers(*result.communication.weights, r);
    const double on_device_s = r.forward_s + r.backward_s + r.exposed_comm_s + r.optimizer_s;
    r.data_s = std::clamp(seconds(step_end_, Clock::now()) - on_device_s, 0.0, load_s);
    sum_over_ranks(r, result);
    bucket_ready_s_ = result.bucket_ready_s;
    reducing_from_s_ = r.data_s + forward_s + result.unreduced_s;
    return r;
  }

  /// The passes' times contain what they waited for weights, which is communication.
  static void take_gathers(const comm::WeightGathers& weights, runlog::StepRecord& r) {
    r.gather_s = weights.inside_s;
    r.exposed_gather_s = weights.exposed_forward_s + weights.exposed_backward_s;
    r.gathered_bytes = weights.gathered_bytes;
    r.reduced_bytes = weights.reduced_bytes;
    r.comm_s += r.gather_s;
    r.exposed_comm_s += r.exposed_gather_s;
    r.forward_s = std::max(0.0, r.forward_s - weights.exposed_forward_s);
    r.backward_s = std::max(0.0, r.backward_s - weights.exposed_backward_s);
  }

  /// While the GPU works on the step that was just started.
  void log_power(runlog::StepRecord& r) {
    const machine::PowerSample p = power_->sample();
    r.energy_j = p.energy_j;
    r.power_w = p.power_w;
    r.sm_clock_mhz = p.sm_clock_mhz;
    r.temperature_c = p.temperature_c;
    r.clock_limit = p.clock_limit;
  }

  void sum_over_ranks(runlog::StepRecord& r, const StepResult& result) {
    extras_.values.assign(extras_.values.size(), 0.0);
    extras_.values[Extras::kLoss] = result.loss_sum;
    extras_.values[Extras::kSmallSquares] = result.small_squares;
    for (std::size_t i = 0; i < kStopSignals.size(); ++i)
      extras_.values[Extras::kStop + i] = stop_signal() == kStopSignals[i];
    extras_.values[Extras::kDataFailed] = loader_.failed() ? 1 : 0;
    // busy: not while it waited for ranks that it shares samples with
    extras_.values[Extras::kBusy + comm_.rank()] =
        r.data_s + r.forward_s + r.backward_s - result.exchange_s + r.optimizer_s;
    const auto begin = Clock::now();
    comm_.all_reduce_sum(extras_.values);
    if (comm_.size() > 1) {
      const double took_s = seconds(begin, Clock::now());
      r.comm_s += took_s;
      r.exposed_comm_s += took_s;
    }
    r.loss = extras_.values[Extras::kLoss] / static_cast<double>(config_.batch.global);
    // A rank's gradient is of (sum of losses) / global batch: the mean over its own samples is as many times that as there
    // are small gradients. Root of the mean of their squares:
    if (small_batch_ > 0)
      r.small_grad_norm = std::sqrt(extras_.values[Extras::kSmallSquares] * static_cast<double>(config_.batch.global) /
                                    static_cast<double>(small_batch_));
    stop_signal_of_all_ = 0;
    for (std::size_t i = 0; i < kStopSignals.size() && !stop_signal_of_all_; ++i)
      if (extras_.values[Extras::kStop + i] > 0) stop_signal_of_all_ = kStopSignals[i];
    data_failed_ = extras_.values[Extras::kDataFailed] > 0;
  }

  void require_finite(const runlog::StepRecord& record, const std::string& last_checkpoint) {
    if (std::isfinite(record.loss) && std::isfinite(record.grad_norm)) return;
    runlog::StepRecord last = record;
    last.step_time_s = seconds(step_end_, Clock::now());
    if (log_) {
      log_->step(last);
      log_->close();
    }
    comm_.barrier();
    user_error(
        "step {}: {} is {}: stopped before it reached the weights. The log is {}; {}. Lower "
        "optimizer.learning_rate{}",
        record.step, std::isfinite(record.loss) ? "the gradient norm" : "the loss",
        std::isfinite(record.loss) ? record.grad_norm : record.loss, log_path_, last_checkpoint,
        config_.optimizer.clip_norm > 0 ? ", or look at the data of this step" : " or set optimizer.clip_norm = 1");
  }

  void finish(runlog::StepRecord& record, std::int64_t s, Progress* progress) {
    const auto now = Clock::now();
    record.step_time_s = seconds(step_end_, now);
    step_end_ = now;
    shared_cores_.look();
    if (!log_) return;
    const std::vector<float> busy_s(extras_.values.begin() + Extras::kBusy, extras_.values.end());
    log_->rank_times(s, busy_s);
    if (s % config_.log.bucket_every == 0) log_buckets(s, reducing_from_s_);
    log_->step(record);
    progress->step(record);
  }

  Progress* progress_of_rank0(Progress& progress) { return comm_.rank() == 0 ? &progress : nullptr; }

  /// `backward_s`: when the backward whose gradients are reduced began, since the step's start. One rank's buckets go nowhere: ready is all they are.
  void log_buckets(std::int64_t s, double backward_s) {
    std::vector<runlog::BucketRecord> records;
    const auto add = [&](std::int64_t bytes, double ready_s, double start_s, double end_s) {
      records.push_back(
          {s, static_cast<int>(records.size()), bytes, backward_s + ready_s, backward_s + start_s, backward_s + end_s});
    };
    for (const auto& t : reducer_->timeline()) add(t.bytes, t.ready_s, t.start_s, t.end_s);
    if (comm_.size() == 1)
      for (const double ready_s : bucket_ready_s_)
        add(4 * reducer_->buckets()[records.size()].range.count, ready_s, ready_s, ready_s);
    log_->buckets(records);
  }

  void open_log(Checkpoints& checkpoints, const runlog::RunInfo& info, std::int64_t start) {
    log_path_ = checkpoints.make_log_path(start);
    if (comm_.rank() == 0) log_ = std::make_unique<runlog::Writer>(log_path_, info);
    comm_.barrier();
  }

  void announce(const runlog::RunInfo& info, std::int64_t start, const std::vector<std::string>& notes) const {
    if (comm_.rank() != 0) return;
    print("{}\n", info.config_toml);
    print("{} parameters, {} tokens/sample, {:.2f} GFLOP/sample (forward + backward); {}\n", table_.count(),
          config_.model.tokens(), static_cast<double>(model::train_flops(config_.model)) / 1e9,
          dataset_->description());
    print("{} rank{} x {} thread{}, {} on {}, {}; {}; {} gradient buckets\n", comm_.size(),
          comm_.size() == 1 ? "" : "s", resolved_.threads, resolved_.threads == 1 ? "" : "s", info.dtype,
          info.device_name, transport_.description(),
          std::isfinite(info.gemm_peak_flops_per_s)
              ? fmt::format("GEMM rate {:.1f} GFLOP/s a rank", info.gemm_peak_flops_per_s / 1e9)
              : "GEMM rate not measured",
          reducer_->buckets().size());
    if (const comm::ShardedStorage* storage = step_.sharded_storage())
      print("comm.sharding = \"full\": {}\n", storage->description());
    if (start > 0) print("resumed from {} after step {}\n", config_.run.resume, start);
    for (const std::string& note : notes) print("note: {}\n", note);
    if (config_.log.noise_scale && small_batch_ == 0)
      print(
          "note: log.noise_scale = true: a step of one rank and micro-batch has no smaller gradients to log the norms "
          "of: set batch.accumulate = 2, or start two ranks\n");
    if (info.sequence_ranks > 1)
      print("{} ranks share each sample: {} of its {} tokens each, {} of {} heads in attention\n", info.sequence_ranks,
            config_.model.tokens() / info.sequence_ranks, config_.model.tokens(),
            config_.model.num_heads / info.sequence_ranks, config_.model.num_heads);
    if (info.sequence_share > 1)
      print(
          "note: run.sequence_parallel_emulated = {0}: this is one of {0} ranks' share of each sample, without the others and "
          "what is sent to them, and not a training: its losses mean nothing, its FLOPs are its share, there are no "
          "checkpoints\n",
          info.sequence_share);
    else if (!state_)
      print("note: no checkpoints: the step of this run has no state to go on from\n");
    print("log: {}\n", log_path_);
    flush_output();
  }

  const RunConfig& config_;
  comm::Transport& transport_;
  comm::Communicator& comm_;
  const ResolvedRun& resolved_;
  model::ParameterTable table_;
  TrainingStep& step_;
  ResumableState* state_;  // null: nothing to go on from
  std::unique_ptr<comm::GradientReducer> reducer_;
  std::unique_ptr<Dataset> dataset_;
  BatchLoader loader_;
  Extras extras_;
  SharedCores shared_cores_;
  Batch batch_;
  OptimizerSettings optimizer_;
  std::vector<double> bucket_ready_s_;   // StepResult's
  double reducing_from_s_ = 0;           // when the backward began whose gradients are reduced, since the step's start
  std::int64_t small_batch_ = 0;         // RunInfo's
  std::unique_ptr<runlog::Writer> log_;  // rank 0
  std::unique_ptr<machine::PowerMeter> power_;  // rank 0, on a GPU
  std::string log_path_;
  Clock::time_point run_start_, step_end_;
  int stop_signal_of_all_ = 0;
  bool data_failed_ = false;  // the next batch could not be loaded, on any rank
};

}  // namespace

TrainResult train(const RunConfig& config, const ResolvedRun& resolved, comm::Transport& transport,
                  TrainingStep& step) {
  watch_stop_signals();
  return Loop(config, resolved, transport, step).run();
}

}  // namespace gpumonth::trainer
