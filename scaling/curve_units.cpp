#include "scaling/curve_units.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "scaling/throughput_unit.h"

namespace gpumonth::scaling {
namespace {

using Kind = ThroughputUnit::Kind;

constexpr double kStays = 1.15;  // twice the ranks and more, and less than this times the throughput

void convert(ScalingCurve& curve, const ThroughputUnit& unit) {
  for (auto& p : curve.points) {
    const auto ranks = static_cast<double>(p.ranks);
    if (unit.kind == Kind::per_rank) p.samples_per_s *= ranks * unit.factor;
    if (unit.kind == Kind::total) p.samples_per_s *= unit.factor;
    if (unit.kind == Kind::step_rate) p.samples_per_s *= ranks * p.batch_per_rank * unit.factor;
    if (unit.kind == Kind::step_time) p.samples_per_s = ranks * p.batch_per_rank / (p.samples_per_s * unit.factor);
  }
}

bool is_power_of_two(double value) { return value >= 1 && std::exp2(std::round(std::log2(value))) == value; }

}  // namespace

void to_total_throughput(ScalingCurve& curve) {
  if (is_throughput(curve.unit) || curve.points.empty()) return;
  const ThroughputUnit unit = parse_unit(curve.unit);
  const bool is_rate = unit.kind == Kind::total || unit.kind == Kind::per_rank;
  const bool is_of_steps = unit.kind == Kind::step_rate || unit.kind == Kind::step_time;
  if (!is_rate && !(is_of_steps && has_batch(curve))) return;
  convert(curve, unit);
  const std::string total = is_rate ? unit.total : "samples/s";
  const char* how = unit.kind == Kind::per_rank    ? "was multiplied by the ranks"
                    : unit.kind == Kind::step_rate ? "was multiplied by ranks and batch per rank"
                    : unit.kind == Kind::step_time ? "was turned into ranks x batch per rank / time"
                                                   : "was scaled to a second";
  curve.notes.push_back(fmt::format("the table's {} {}: {} of all ranks", curve.unit, how, total));
  curve.unit = total;
}

void note_doubtful_axes(ScalingCurve& curve) {
  if (!is_throughput(curve.unit)) return;
  const auto all = groups(curve);
  if (all.size() > 2 &&
      std::all_of(all.begin(), all.end(), [](const auto& g) { return is_power_of_two(g.samples_per_s); }) &&
      all.front().samples_per_s < all.back().samples_per_s &&
      std::none_of(all.begin(), all.end(), [](const auto& g) { return is_power_of_two(static_cast<double>(g.ranks)); }))
    curve.notes.push_back(
        fmt::format("the throughputs are {:g} .. {:g}, powers of two, and the ranks {} .. {} are none: if the columns "
                    "are swapped, swap their names",
                    all.front().samples_per_s, all.back().samples_per_s, all.front().ranks, all.back().ranks));
  if (all.empty() || all.back().ranks < 2 * all.front().ranks) return;
  if (all.back().samples_per_s > kStays * all.front().samples_per_s) return;
  const std::string per_rank = curve.unit + "/GPU";
  curve.notes.push_back(fmt::format(
      "the total throughput {} from {:g} on {} rank{} to {:g} on {}, as that of one rank does: "
      "if it is one rank's, "
      "add a column unit with {}",
      all.back().samples_per_s < 0.99 * all.front().samples_per_s ? "falls" : "stays", all.front().samples_per_s,
      all.front().ranks, all.front().ranks == 1 ? "" : "s", all.back().samples_per_s, all.back().ranks, per_rank));
}

}  // namespace gpumonth::scaling
