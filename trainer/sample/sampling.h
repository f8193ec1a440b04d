// The reverse process of many samples, shared out over ranks, each step logged.
//
// Samples are denoised in batches of a fixed size, batch g the samples g B .. g B + B - 1, the last one filled up with
// samples that nobody asked for. In round r rank p of P has batch r P + p. So every sample is computed in the same company
// and from the same noise, keyed by (seed, step, sample), on any number of ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "comm/communicator.h"
#include "model/config.h"
#include "runlog/record.h"
#include "trainer/model.h"

namespace gpumonth::trainer {

struct SamplingPlan {
  std::vector<std::int32_t> labels;     ///< of every sample
  std::int64_t batch = 1;               ///< B, samples; the network has 2 B rows with guidance
  std::vector<ops::ReverseStep> steps;  ///< in order
  double guidance = 1;
  std::int64_t warm_up_steps = 3;  ///< of the first round, logged as such

  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
  std::int64_t batches() const { return (count() + batch - 1) / batch; }
};

/// Who follows it.
struct SamplingObserver {
  std::function<void(runlog::StepRecord&)> working;     ///< a GPU works on the step: time to read its power
  std::function<void(const runlog::StepRecord&)> step;  ///< it is done
  /// Rank 0: every rank's time of each step of a round, once that is over: (steps, ranks).
  std::function<void(std::int64_t first_step, const std::vector<float>& step_time_s)> round;
};

/// Collective. `network` has B rows, or 2 B with guidance, and its parameters. Returns the samples (N, C, [F,] H, W) on
/// rank 0, elsewhere nothing. UserError on rank 0: a sample that is not finite.
std::vector<float> run_sampling(const SamplingPlan& plan, const model::ModelConfig& model, Model& network,
                                comm::Communicator& ranks, const SamplingObserver& observer);

}  // namespace gpumonth::trainer
