#include "trainer/sample/sampling.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "base/error.h"
#include "model/flops.h"
#include "trainer/state/checkpoint_values.h"

namespace gpumonth::trainer {
namespace {

using SamplingClock = std::chrono::steady_clock;

double seconds_from(SamplingClock::time_point begin) {
  return std::chrono::duration<double>(SamplingClock::now() - begin).count();
}

class SamplingRounds {
 public:
  SamplingRounds(const SamplingPlan& plan, const model::ModelConfig& model, Model& network, comm::Communicator& ranks,
                 const SamplingObserver& observer)
      : plan_(plan), model_(model), network_(network), ranks_(ranks), observer_(observer) {}

  std::vector<float> run() {
    const std::int64_t rounds = (plan_.batches() + ranks_.size() - 1) / ranks_.size();
    for (std::int64_t r = 0; r < rounds; ++r) {
      const std::int64_t mine = r * ranks_.size() + ranks_.rank();
      times_.assign(plan_.steps.size(), 0.0f);
      latents_.assign(static_cast<std::size_t>(plan_.batch * model_.latent_size()), 0.0f);
      if (mine < plan_.batches()) denoise_batch(r, mine);
      collect_times(r);
      collect_samples(r);
    }
    return std::move(samples_);
  }

 private:
  void denoise_batch(std::int64_t round, std::int64_t batch) {
    SampleBatch samples{.labels = {}, .first_sample = batch * plan_.batch, .guidance = plan_.guidance};
    for (std::int64_t i = 0; i < plan_.batch; ++i)
      samples.labels.push_back(
          plan_.labels[static_cast<std::size_t>(std::min(samples.first_sample + i, plan_.count() - 1))]);
    network_.start_samples(samples);
    network_.wait();
    auto begin = SamplingClock::now();
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      runlog::StepRecord record = begin_record(round, i, begin);
      network_.denoise(plan_.steps[i]);
      observer_.working(record);
      network_.wait();
      record.step_time_s = record.forward_s = seconds_from(begin);
      begin = SamplingClock::now();
      times_[i] = static_cast<float>(record.step_time_s);
      observer_.step(record);
    }
    latents_ = network_.samples();
  }

  /// Work over all ranks that have a batch in this round; no loss, gradient or update.
  runlog::StepRecord begin_record(std::int64_t round, std::size_t i, SamplingClock::time_point begin) const {
    const std::int64_t busy = std::min<std::int64_t>(ranks_.size(), plan_.batches() - round * ranks_.size());
    runlog::StepRecord record;
    record.step = first_step(round) + static_cast<std::int64_t>(i);
    record.start_time_s = std::chrono::duration<double>(begin - start_).count();
    record.samples = busy * plan_.batch;
    record.tokens = record.samples * model_.tokens();
    const double rows = static_cast<double>(record.samples) * (plan_.guidance != 1 ? 2 : 1);
    record.model_flops = record.hardware_flops = rows * static_cast<double>(model::forward_flops(model_));
    record.loss = record.grad_norm = std::nan("");
    record.phase = record.step <= plan_.warm_up_steps ? runlog::Phase::warm_up : runlog::Phase::steady;
    return record;
  }

  std::int64_t first_step(std::int64_t round) const {
    return round * static_cast<std::int64_t>(plan_.steps.size()) + 1;
  }

  void collect_times(std::int64_t round) {
    const std::vector<float> all = ranks_.gather(times_, 0);  // (ranks, steps)
    if (ranks_.rank() != 0) return;
    const std::size_t steps = plan_.steps.size(), ranks = static_cast<std::size_t>(ranks_.size());
    std::vector<float> by_step(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) by_step[i % steps * ranks + i / steps] = all[i];
    observer_.round(first_step(round), by_step);
  }

  void collect_samples(std::int64_t round) {
    const std::vector<float> all = ranks_.gather(latents_, 0);  // (ranks, B, C, [F,] H, W)
    if (ranks_.rank() != 0) return;
    const std::int64_t first = round * ranks_.size() * plan_.batch;
    const std::int64_t wanted = std::min(plan_.count() - first, ranks_.size() * plan_.batch),
                       size = model_.latent_size();
    for (std::int64_t i = 0; i < wanted; ++i) {
      const std::string bad =
          bad_value(std::span(all).subspan(static_cast<std::size_t>(i * size), static_cast<std::size_t>(size)));
      if (!bad.empty())
        user_error("sample {} holds {}: the weights are none of a trained network, or the guidance is too large",
                   first + i, bad);
    }
    samples_.insert(samples_.end(), all.begin(), all.begin() + wanted * size);
  }

  const SamplingPlan& plan_;
  const model::ModelConfig& model_;
  Model& network_;
  comm::Communicator& ranks_;
  const SamplingObserver& observer_;
  SamplingClock::time_point start_ = SamplingClock::now();
  std::vector<float> times_;    // of the steps of this rank's batch, s
  std::vector<float> latents_;  // of that batch
  std::vector<float> samples_;  // rank 0: so far
};

}  // namespace

std::vector<float> run_sampling(const SamplingPlan& plan, const model::ModelConfig& model, Model& network,
                                comm::Communicator& ranks, const SamplingObserver& observer) {
  return SamplingRounds(plan, model, network, ranks, observer).run();
}

}  // namespace gpumonth::trainer
