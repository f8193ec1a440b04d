#include "budget/ladder/ladder.h"

#include <algorithm>
#include <array>

namespace gpumonth::budget {
namespace {

constexpr RungFunction kRungs[] = {as_published, flops_counted, attention_counted, data, measured_mfu,
                                   scaling,      goodput};
constexpr std::array kRungNames = {"as-published", "flops-counted", "attention-counted", "data", "measured-mfu",
                                   "scaling",      "goodput"};

}  // namespace

const char* name(RungId id) { return kRungNames.at(static_cast<std::size_t>(id)); }

Number Rung::factor_over(const Rung& before) const {
  return is_drawn() ? factor : Number{gpu_months.low / before.gpu_months.low, gpu_months.high / before.gpu_months.high};
}

std::vector<Rung> climb(const LadderContext& context) {
  std::vector<Rung> rungs;
  for (const RungFunction make : kRungs)
    if (auto rung = make(context, rungs.empty() ? nullptr : &rungs.back())) rungs.push_back(std::move(*rung));
  return rungs;
}

const Rung* find(const std::vector<Rung>& rungs, RungId id) {
  const auto found = std::find_if(rungs.begin(), rungs.end(), [id](const Rung& rung) { return rung.id == id; });
  return found == rungs.end() ? nullptr : &*found;
}

}  // namespace gpumonth::budget
