#include "scaling/fit/cuts.h"

namespace gpumonth::scaling {

std::vector<Cut> cuts(const ScalingCurve& curve) {
  const auto places = groups(curve);
  std::vector<std::int64_t> counts;
  for (const auto& g : places)
    if (counts.empty() || counts.back() != g.ranks) counts.push_back(g.ranks);
  std::vector<Cut> all;
  for (std::size_t k = kMinTrain; k < counts.size(); ++k) {
    Cut& cut = all.emplace_back(Cut{curve, {}});
    std::erase_if(cut.train.points, [&](const auto& p) { return p.ranks > counts[k - 1]; });
    for (const auto& g : places)
      if (g.ranks > counts[k - 1]) cut.later.push_back(g);
  }
  return all;
}

}  // namespace gpumonth::scaling
