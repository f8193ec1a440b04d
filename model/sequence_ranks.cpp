#include "model/sequence_ranks.h"

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
