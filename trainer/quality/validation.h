// Validation loss: the hybrid loss of training on samples that no training sees, with noise and timesteps that are the same
// for every checkpoint, so that checkpoints are compared pair by pair.
//
// Sample i of N has timestep floor((i + 1/2) 1000 / N): every noise level has its share, and N = 1000 takes each timestep
// once. Its noise is keyed by i. Samples go through the network in batches of a fixed size, the last one filled up, and in
// round r rank p of P has batch r P + p: the losses are the same on any number of ranks.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "comm/communicator.h"
#include "model/config.h"
#include "trainer/data/data.h"
#include "trainer/model.h"

namespace gpumonth::trainer {

constexpr std::uint64_t kValidationSeed = 20240215;  ///< DitSetup::seed of the network: keys the noise
constexpr std::int64_t kFewestValidationSamples = 20;
constexpr int kNoiseLevels = 10;

/// (N), ascending, each in 0 .. 999.
std::vector<std::int32_t> validation_timesteps(std::int64_t samples);

/// Collective. The loss of samples 0 .. N - 1 of `data`, on every rank. `network` has `batch` rows, kValidationSeed and its
/// parameters. Labels are not dropped. `after_batch` is called whenever the network has done its part.
std::vector<double> validation_losses(std::int64_t samples, std::int64_t batch, const model::ModelConfig& model,
                                      Model& network, Dataset& data, comm::Communicator& ranks,
                                      const std::function<void()>& after_batch);

struct MeanLoss {
  double loss = 0;
  double standard_error = 0;
};

struct NoiseLevel : MeanLoss {
  int t_from = 0, t_to = 0;  ///< both in it
};

struct ValidationLoss : MeanLoss {
  std::vector<NoiseLevel> by_noise_level;  ///< kNoiseLevels, each a tenth of the schedule
};

/// Of losses, or of their differences, by the timesteps of validation_timesteps(): N >= kFewestValidationSamples. The
/// standard error of the mean is that of a stratified sample, sqrt(sum over levels of (n_l / N)^2 s_l^2 / n_l): how much the
/// levels differ from each other is no uncertainty, as each has a fixed share.
ValidationLoss summarise(const std::vector<double>& losses);

}  // namespace gpumonth::trainer
