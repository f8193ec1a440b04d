#include "scaling/compare/match.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"

namespace gpumonth::scaling {
namespace {

bool same_batch(double x, double y) {
  return (std::isnan(x) && std::isnan(y)) || std::abs(x - y) <= 1e-9 * std::abs(x);
}

std::string ranks_text(const std::vector<Cell>& cells) {
  std::set<std::int64_t> ranks;
  for (const auto& cell : cells) ranks.insert(cell.ranks);
  std::string text;
  for (const auto n : ranks) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return text;
}

/// The cells of `mine` that `other` has not, as one note.
void note_alone(const std::string& name, const std::vector<Cell>& mine, const std::vector<bool>& matched,
                std::vector<std::string>& notes) {
  std::string places;
  for (std::size_t i = 0; i < mine.size(); ++i)
    if (!matched[i]) places += (places.empty() ? "" : "; ") + place_text(mine[i].ranks, mine[i].batch_per_rank);
  if (!places.empty()) notes.push_back(fmt::format("only {} has {}: not compared", name, places));
}

std::size_t baseline_of(const std::vector<MatchedCell>& matched, const std::vector<Cell>& cells, std::size_t i) {
  const Cell& cell = cells[matched[i].a];
  const std::int64_t fewest = cells[matched.front().a].ranks;
  if (cell.ranks == fewest) return i;
  const auto find = [&](auto fits) {
    for (std::size_t j = 0; j < matched.size() && cells[matched[j].a].ranks == fewest; ++j)
      if (fits(cells[matched[j].a])) return j;
    return matched.size();
  };
  std::size_t found = find([&](const Cell& c) { return same_batch(c.batch_per_rank, cell.batch_per_rank); });
  if (found == matched.size())
    found = find([&](const Cell& c) {
      return same_batch(c.batch_per_rank * static_cast<double>(c.ranks),
                        cell.batch_per_rank * static_cast<double>(cell.ranks));
    });
  return found == matched.size() ? 0 : found;
}

bool several_batches(const RunSet& set) {
  std::map<std::int64_t, double> first;
  for (const auto& run : set.runs)
    if (!same_batch(first.try_emplace(run.ranks, run.batch_per_rank).first->second, run.batch_per_rank)) return true;
  return false;
}

}  // namespace

std::string place_text(std::int64_t ranks, double batch_per_rank) {
  std::string text = fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
  if (!std::isnan(batch_per_rank)) text += fmt::format(", batch {} per rank", batch_per_rank);
  return text;
}

bool use_batch(const RunSet& a, const RunSet& b) {
  if (a.has_batch() && b.has_batch()) return true;
  for (const auto* set : {&a, &b})
    if (set->has_batch() && several_batches(*set))
      user_error(
          "{}: has several batches per rank at one rank count, and {} does not say its own: add "
          "batch_per_rank there",
          set->name, (set == &a ? b : a).name);
  return false;
}

std::vector<MatchedCell> match_cells(const RunSet& set_a, const std::vector<Cell>& a, const RunSet& set_b,
                                     const std::vector<Cell>& b, std::vector<std::string>& notes) {
  std::vector<MatchedCell> matched;
  std::vector<bool> a_matched(a.size(), false), b_matched(b.size(), false);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b.size(); ++j) {
      if (a[i].ranks != b[j].ranks || !same_batch(a[i].batch_per_rank, b[j].batch_per_rank)) continue;
      matched.push_back({i, j, 0});
      a_matched[i] = b_matched[j] = true;
    }
  const bool one_count = !matched.empty() && a[matched.front().a].ranks == a[matched.back().a].ranks;
  if (matched.empty() || one_count) {
    const std::string common = one_count ? fmt::format("only {} rank{}", a[matched.front().a].ranks,
                                                       a[matched.front().a].ranks == 1 ? "" : "s")
                                         : "no rank count with the same batch per rank";
    user_error(
        "{} and {} have {} in common (A: {}; B: {} ranks): an efficiency needs two; measure both at the same "
        "ones",
        set_a.name, set_b.name, common, ranks_text(a), ranks_text(b));
  }
  for (std::size_t i = 0; i < matched.size(); ++i) matched[i].baseline = baseline_of(matched, a, i);
  note_alone("A", a, a_matched, notes);
  note_alone("B", b, b_matched, notes);
  const std::int64_t fewest = a[matched.front().a].ranks;
  if (a.front().ranks != fewest || b.front().ranks != fewest)
    notes.push_back(fmt::format("efficiencies count from {} rank{}, the fewest that both sets have", fewest,
                                fewest == 1 ? "" : "s"));
  return matched;
}

}  // namespace gpumonth::scaling
