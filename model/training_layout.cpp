#include "model/training_layout.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>
#include <vector>

namespace gpumonth::model {
namespace {

/// Runs of tokens that a rank takes whole.
std::int64_t runs_of_tokens(const ModelConfig& model) {
  return model.temporal_patch_size == 1 ? std::int64_t{model.time_grid()} * model.grid() : model.time_grid();
}

/// "1, 2 or 4".
std::string divisors(std::int64_t number) {
  std::vector<std::int64_t> all;
  for (std::int64_t d = 1; d <= number; ++d)
    if (number % d == 0) all.push_back(d);
  if (all.size() == 1) return "1";
  const std::int64_t last = all.back();
  all.pop_back();
  return fmt::format("{} or {}", fmt::join(all, ", "), last);
}

}  // namespace

MemoryLayout memory_layout(const TrainingLayout& layout) {
  const std::int64_t common = layout.state_in_common() ? layout.ranks : 1;
  return {.packed = !layout.gpu,
          .weight_ranks = common,
          .optimizer_ranks = layout.sharding == Sharding::optimizer ? layout.ranks : common,
          .shard_ranks = layout.shard_ranks(),
          .sequence_ranks = layout.sequence_ranks,
          .recompute = layout.recompute,
          .accumulate = layout.accumulate};
}

std::optional<std::string> why_not_shared(const ModelConfig& model, std::int64_t sequence_ranks) {
  const std::int64_t runs = runs_of_tokens(model), heads = model.num_heads;
  const std::string other = divisors(std::gcd(runs, heads));
  if (heads % sequence_ranks != 0)
    return fmt::format("{} ranks cannot share {} heads: take {}", sequence_ranks, heads, other);
  if (runs % sequence_ranks != 0)
    return fmt::format("{} ranks cannot share {} {} of patches: take {}", sequence_ranks, runs,
                       model.temporal_patch_size == 1 ? "lines" : "frames", other);
  return std::nullopt;
}

}  // namespace gpumonth::model
