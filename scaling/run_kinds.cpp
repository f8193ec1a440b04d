#include "scaling/run_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gpumonth::scaling {
namespace {

/// A batch that is a mean over steps is no whole number.
bool at_one_place(const PlacedRun& a, const PlacedRun& b) {
  return a.ranks == b.ranks &&
         std::abs(a.batch_per_rank - b.batch_per_rank) <= 1e-9 * std::max(a.batch_per_rank, b.batch_per_rank);
}

}  // namespace

std::vector<std::optional<std::size_t>> superseding(std::span<const PlacedRun> runs) {
  std::vector<std::optional<std::size_t>> by(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    runlog::Origin best = runs[i].origin;
    for (std::size_t j = 0; j < runs.size(); ++j) {
      if (runs[j].origin >= best || !at_one_place(runs[i], runs[j])) continue;
      best = runs[j].origin;
      by[i] = j;
    }
  }
  return by;
}

std::string superseded_note(std::span<const PlacedRun> runs) {
  const auto by = superseding(runs);
  std::string which;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (by[i])
      which += fmt::format("{}{} ({}, for {})", which.empty() ? "" : ", ", runs[i].path, name(runs[i].origin),
                           runs[*by[i]].path);
  if (which.empty()) return "";
  return "left out, as a run of a better kind is there at the same ranks and batch (measured before replayed before "
         "simulated): " +
         which;
}

std::string kinds_text(std::span<const PlacedRun> runs) {
  std::string text;
  bool all_measured = true;
  for (const auto origin : {runlog::Origin::measured, runlog::Origin::replayed, runlog::Origin::simulated}) {
    const auto count = std::count_if(runs.begin(), runs.end(), [&](const auto& r) { return r.origin == origin; });
    if (count == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name(origin));
    all_measured = all_measured && origin == runlog::Origin::measured;
  }
  return all_measured ? "" : text;
}

}  // namespace gpumonth::scaling
