#include "trainer/data/batch_loader.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "trainer/ops/diffusion.h"

namespace gpumonth::trainer {
namespace {

/// Mirrors every second sample along W, the last axis.
void flip_some(const RunConfig& c, std::int64_t step, Batch& batch) {
  const std::int64_t size = c.model.latent_size(), width = c.model.input_size;
  for (std::size_t i = 0; i < batch.labels.size(); ++i) {
    const auto sample = static_cast<std::uint32_t>(batch.first_sample) + static_cast<std::uint32_t>(i);
    if (!ops::draw_flip(c.run.seed, static_cast<std::uint32_t>(step), sample)) continue;
    float* const first = batch.latents.data() + static_cast<std::int64_t>(i) * size;
    for (float* row = first; row < first + size; row += width) std::reverse(row, row + width);
  }
}

/// Dataset rows by global position, so that they do not depend on the rank count.
void load_batch(const RunConfig& c, Dataset& dataset, std::int64_t step, Batch& batch) {
  const std::int64_t local = static_cast<std::int64_t>(batch.labels.size());
  std::vector<std::int64_t> indices(batch.labels.size());
  for (std::int64_t i = 0; i < local; ++i)
    indices[i] = shuffled_index((step - 1) * c.batch.global + batch.first_sample + i, dataset.size(), c.run.seed);
  dataset.read(indices, batch.latents.data(), batch.labels.data());
  if (c.data.flip) flip_some(c, step, batch);
  for (std::int64_t i = 0; i < local; ++i) {
    const auto s = static_cast<std::uint32_t>(step);
    const auto sample = static_cast<std::uint32_t>(batch.first_sample + i);
    batch.t[i] = ops::draw_timestep(c.run.seed, s, sample);
    batch.labels[i] =
        ops::draw_label(c.run.seed, s, sample, batch.labels[i], c.model.class_dropout_prob, c.model.num_classes);
  }
}

}  // namespace

void BatchLoader::require_same_dataset() {
  const DatasetIdentity mine = dataset_.identity();
  const auto all = ranks_.all_gather(fmt::format("{} samples, {}", mine.samples, mine.contents));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    user_error("{}: rank 0 finds {}, rank {} finds {}: give all ranks the same file", config_.data.path, all[0], rank,
               all[rank]);
  }
}

void BatchLoader::load_first(std::int64_t step, Batch& batch) {
  load(step, batch);
  const std::string reason = error_of_ranks();
  if (!reason.empty()) user_error("step {}: {}", step, reason);
}

void BatchLoader::load(std::int64_t step, Batch& batch) {
  try {
    load_batch(config_, dataset_, step, batch);
  } catch (const UserError& error) {
    error_ = error.what();
  }
}

std::string BatchLoader::error_of_ranks() {
  for (const std::string& said : ranks_.all_gather(error_))
    if (!said.empty()) return said;
  return "";
}

}  // namespace gpumonth::trainer
