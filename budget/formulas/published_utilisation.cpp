#include "budget/formulas/published_utilisation.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/format.h"
#include "budget/formulas/measured_layers.h"
#include "budget/inputs/block_flops.h"
#include "budget/inputs/kernel_ceiling.h"

namespace gpumonth::budget {
namespace {

constexpr const char* kPublished = "utilisation.published_mfu";

/// What the utilisation was reached with.
LengthShares published_lengths(const Scenario& s) {
  if (s.has("utilisation.tokens")) return {{"published", 1, s.at("utilisation.tokens").low}};
  return training_lengths(s);
}

std::string published_recompute(const Scenario& s) {
  return s.utilisation_recompute.empty() ? s.plan.recompute : s.utilisation_recompute;
}

/// Hardware over model FLOPs of the training.
double overhead(const Scenario& s, const std::string& recompute, const LengthShares& lengths) {
  return 1 / harmonic_mean(lengths, [&](double at) { return 1 / recompute_overhead(s.model, recompute, at); });
}

std::string with_words(const std::string& recompute) {
  return recompute == "none" ? "without recompute" : fmt::format("with recompute = \"{}\"", recompute);
}

}  // namespace

Number utilisation_here(const Scenario& s) {
  const Number published = s.at(kPublished);
  if (s.has("training.flop_per_sample")) return published;
  if (!s.has("utilisation.tokens") && s.utilisation_recompute.empty()) return published;
  Number factor = exactly(1);
  factor.tag = Tag::assumed;
  const LengthShares here = training_lengths(s), there = published_lengths(s);
  const auto allowed = [&](const std::string& recompute, const LengthShares& lengths) {
    return has_kernel_rates(s.hardware) ? kernel_ceiling(s.hardware, s.model, recompute, lengths)
                                        : 1 / overhead(s, recompute, lengths);
  };
  factor.low = factor.high = allowed(s.plan.recompute, here) / allowed(published_recompute(s), there);
  Number carried = (published * factor).as("1", "published x what kernels allow here / there");
  carried.high = std::min(1.0, carried.high);
  return carried;
}

void bound_by_kernels(Scenario& s, std::vector<std::string>& notes) {
  if (!has_kernel_rates(s.hardware) || s.has("training.flop_per_sample")) return;
  Input& input = s.inputs.at(kPublished);
  const LengthShares lengths = published_lengths(s);
  const std::string recompute = published_recompute(s);
  const double ceiling = kernel_ceiling(s.hardware, s.model, recompute, lengths);
  if (!(input.number.high > ceiling)) return;
  const std::string why =
      fmt::format("{} = {} is more than kernels can do on samples of {}{} tokens {}: {:.1f} % of the {}'s peak",
                  kPublished, range_text(input.number, percent), lengths.size() > 1 ? "up to " : "",
                  grouped(std::ranges::max(lengths, {}, &LengthShare::tokens).tokens), with_words(recompute),
                  100 * ceiling, s.hardware.name);
  const bool of_others = s.has("disclosed.gpu_hours") || !s.utilisation_class.empty();
  if (!of_others || input.number.low >= ceiling) {
    const double allowed = std::floor(1000 * ceiling) / 1000;
    user_error(
        "{}: {} ({}): say {}what it was reached with in utilisation.tokens and utilisation.recompute, or lower it, as "
        "with --set {}={:g}{}",
        s.path, why, s.hardware.kernels_source,
        recompute == "full" ? "plan.recompute = \"linear\" where attention's outputs are kept, or " : "", kPublished,
        std::min(input.number.low, allowed), input.number.low < allowed ? fmt::format("..{:g}", allowed) : "");
  }
  notes.push_back(why + "; the range, which is one of others, is cut there");
  input.number.high = ceiling;
  input.distribution.max = std::min(input.distribution.max, ceiling);
}

}  // namespace gpumonth::budget
