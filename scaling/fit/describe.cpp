#include <fmt/format.h>

#include "scaling/fit/fit.h"

namespace gpumonth::scaling {
namespace {

std::string batch_text(const Fit& fit) {
  const BatchShare b = fit.batch_share();
  if (!b.known)
    return "Batch: the same on all points, so nothing tells what another one would do; other curves say so.\n";
  return fmt::format(
      "Batch: with {:.0f} % it does not matter; {:.1f} % ({:.1f} .. {:.1f}) of the last step do not shrink with it.\n",
      100 * b.none, 100 * b.median, 100 * b.low, 100 * b.high);
}

std::string suspects_text(const Fit& fit) {
  std::string text;
  for (const auto& s : fit.suspects())
    text += s.is_break
                ? fmt::format("With {:.0f} % there is a break from {} to {} ranks.\n", 100 * s.probability, s.ranks,
                              s.to_ranks)
                : fmt::format("With {:.0f} % the point at {} ranks is an outlier.\n", 100 * s.probability, s.ranks);
  return text;
}

}  // namespace

std::string describe(const Fit& fit) {
  std::string text = fmt::format(
      "Model: log rank-seconds per sample = level + growth with N + share that a smaller batch does not shrink.\n\n"
      "{:<12}{:>7}{:>13}{:>20}  {}\n{:-<104}\n",
      "growth", "prior", "probability", "slope per doubling", "what grows", "");
  for (const auto& s : fit.shapes())
    text +=
        fmt::format("{:<12}{:>7.2f}{:>13.3f}{:>20}  {}\n", name(s.growth), s.prior, s.weight,
                    s.growth == Growth::components ? "" : fmt::format("{:.2f} %", 100 * s.slope), formula(s.growth));
  const auto& points = fit.measured();
  text += "\n" + batch_text(fit) + suspects_text(fit);
  text += fmt::format(
      "Measured from {} to {} ranks. Noise of one measurement {:.2f} %, walk of the level {:.2f} % per doubling of ranks.\n"
      "The same constants for every curve; docs/method.md says how each was learned.\n",
      points.front().ranks, points.back().ranks, 100 * fit.noise(), 100 * fit.discrepancy());
  return text;
}

}  // namespace gpumonth::scaling
