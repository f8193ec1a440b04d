// `gpumonth evaluate`: how good checkpoints and their samples are, in numbers that are compared pair by pair.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "comm/transport.h"
#include "trainer/quality/sample_quality.h"
#include "trainer/quality/trained_run.h"
#include "trainer/quality/validation.h"
#include "trainer/trained_network.h"

namespace gpumonth::trainer {

struct EvaluateOptions : NetworkOptions {
  EvaluateOptions() : NetworkOptions{.batch = 20, .dtype = "fp32"} {}

  std::vector<std::string> checkpoints, samples;  ///< files; one of either at least
  std::string data;                               ///< held-out latents; empty: of the procedural set
  std::int64_t count = 1000;                      ///< held-out samples
};

struct CheckpointQuality {
  TrainedRun run;
  std::int64_t parameters = 0;
  std::int64_t samples = 0;  ///< held-out ones
  ValidationLoss validation;
  MeanLoss difference;  ///< from the first checkpoint on the same samples, noise and timesteps
};

struct Evaluation {
  std::string weights;
  std::vector<CheckpointQuality> checkpoints;
  std::vector<SampleQuality> samples;
  std::vector<std::string> notes;
};

/// Collective: held-out samples are shared out over ranks, and every rank has the losses; `samples` is rank 0's. UserError:
/// nothing to evaluate, bad files, a checkpoint without the weights asked for, checkpoints of latents, classes or losses of
/// different kinds, one that was trained on a file without `data`, or on `data` itself, fewer than kFewestValidationSamples
/// samples, losses that are not finite, and what SampleJudge::judge() refuses.
Evaluation evaluate(const EvaluateOptions& options, comm::Transport& transport);

/// What docs/sampling.md lists, "Quality".
std::string to_json_text(const Evaluation& evaluation);

}  // namespace gpumonth::trainer
