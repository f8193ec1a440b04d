// Rung 2: the published operations are multiply-adds; the peak is quoted in FLOPs, two to a multiply-add.
// Only the unit of base_operations changes, so the whole product doubles; its rounding (1e21 for 1.21e21) stays.
#include <fmt/format.h>

#include "base/format.h"
#include "budget/ladder/ladder.h"

namespace gpumonth::budget {

std::optional<Rung> flops_counted(const LadderContext& context, const Rung* before) {
  const Scenario& s = context.scenario;
  if (before == nullptr && s.has("training.base_operations") && !has_published_compute(s)) return std::nullopt;
  if (before == nullptr || !s.has("training.flops_per_operation")) {
    context.notes.push_back(
        "flops-counted: left out, there is no published compute whose unit training.flops_per_operation "
        "corrects");
    return std::nullopt;
  }
  Rung rung{.id = RungId::flops_counted};
  set_numbers(rung, context, [](const auto& in) { return Training{published_flops(in), in.constant(1)}; });
  rung.replaces =
      fmt::format("the base model's {} operations are FLOPs", range_text(s.at("training.base_operations"), scientific));
  rung.replacement =
      fmt::format("they are multiply-adds, {} FLOP each against a peak in FLOP/s: {} FLOP",
                  range_text(s.at("training.flops_per_operation"), compact), range_text(rung.compute, scientific));
  rung.inputs = {"training.flops_per_operation"};
  return rung;
}

}  // namespace gpumonth::budget
