#include "budget/plan/transfer.h"

#include <cmath>

#include "base/error.h"

namespace gpumonth::budget {

bool draws_transfer(const Scenario& s, const ScalingBasis* basis) {
  if (basis == nullptr || basis->carried.empty() || s.has("scaling.transfer")) return false;
  return basis->is_of_runs || has_transfer_rule(s, basis);
}

bool has_transfer_rule(const Scenario& s, const ScalingBasis* basis) {
  const bool has_parameters = !s.has("training.flop_per_sample") || s.has("training.parameters");
  return basis != nullptr && !basis->is_of_runs && !s.has("scaling.transfer") && has_parameters &&
         s.has_all({"scaling.curve_parameters", "scaling.curve_flop_per_sample"});
}

double curve_parameters_per_flop(const Scenario& s, const ScalingBasis& basis, std::int64_t gpus) {
  const double batch = forecast_batch(basis.fit.curve(), gpus);
  if (std::isnan(batch))
    user_error(
        "{}: {} has no batch per GPU, and so nobody knows what a GPU of it computes in a step: give scaling.transfer "
        "instead of curve_parameters and curve_flop_per_sample",
        s.path, basis.input);
  return s.at("scaling.curve_parameters").low / (s.at("scaling.curve_flop_per_sample").low * batch);
}

}  // namespace gpumonth::budget
