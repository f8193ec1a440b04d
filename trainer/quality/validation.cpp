#include "trainer/quality/validation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "trainer/ops/diffusion.h"

namespace gpumonth::trainer {
namespace {

constexpr std::int64_t kValidationStep = 0;  // keys noise; training counts its steps from 1

/// Samples [first, first + batch) of `samples`; behind the last one the last one again.
Batch validation_batch(std::int64_t first, std::int64_t batch, const std::vector<std::int32_t>& timesteps,
                       const model::ModelConfig& model, Dataset& data) {
  const auto rows = static_cast<std::size_t>(batch);
  Batch b{.latents = std::vector<float>(rows * static_cast<std::size_t>(model.latent_size())),
          .labels = std::vector<std::int32_t>(rows),
          .t = {},
          .noise = {},
          .first_sample = first};
  std::vector<std::int64_t> indices;
  for (std::int64_t i = first; i < first + batch; ++i) {
    indices.push_back(std::min(i, static_cast<std::int64_t>(timesteps.size()) - 1));
    b.t.push_back(timesteps[static_cast<std::size_t>(indices.back())]);
  }
  data.read(indices, b.latents.data(), b.labels.data());
  return b;
}

MeanLoss mean_loss(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (n - 1) / n)};
}

}  // namespace

std::vector<std::int32_t> validation_timesteps(std::int64_t samples) {
  std::vector<std::int32_t> t;
  for (std::int64_t i = 0; i < samples; ++i)
    t.push_back(static_cast<std::int32_t>((2 * i + 1) * ops::kDiffusionSteps / (2 * samples)));
  return t;
}

std::vector<double> validation_losses(std::int64_t samples, std::int64_t batch, const model::ModelConfig& model,
                                      Model& network, Dataset& data, comm::Communicator& ranks,
                                      const std::function<void()>& after_batch) {
  const std::vector<std::int32_t> timesteps = validation_timesteps(samples);
  std::vector<double> all(static_cast<std::size_t>(samples)), losses;
  for (std::int64_t first = ranks.rank() * batch; first < samples; first += ranks.size() * batch) {
    network.forward(validation_batch(first, batch, timesteps, model, data), kValidationStep, &losses);
    after_batch();
    std::copy_n(losses.begin(), std::min(batch, samples - first), all.begin() + first);
  }
  ranks.all_reduce_sum(all);  // one of the addends is not zero: exact
  return all;
}

ValidationLoss summarise(const std::vector<double>& losses) {
  const auto count = static_cast<std::int64_t>(losses.size());
  const std::vector<std::int32_t> timesteps = validation_timesteps(count);
  ValidationLoss result;
  double variance = 0;
  std::size_t begin = 0;
  for (int level = 0; level < kNoiseLevels; ++level) {
    const int from = level * ops::kDiffusionSteps / kNoiseLevels,
              end_t = (level + 1) * ops::kDiffusionSteps / kNoiseLevels;
    const auto end =
        static_cast<std::size_t>(std::lower_bound(timesteps.begin(), timesteps.end(), end_t) - timesteps.begin());
    const MeanLoss mean = mean_loss(std::span(losses).subspan(begin, end - begin));
    const double share = static_cast<double>(end - begin) / static_cast<double>(count);
    result.loss += share * mean.loss;
    variance += std::pow(share * mean.standard_error, 2);
    result.by_noise_level.push_back({mean, from, end_t - 1});
    begin = end;
  }
  result.standard_error = std::sqrt(variance);
  return result;
}

}  // namespace gpumonth::trainer
