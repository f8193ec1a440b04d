#include "scaling/compare/compare.h"
#include "scaling/curve_csv.h"
#include "scaling/fit/fit_json.h"
#include "scaling/fit/validate.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"

namespace gpumonth::fuzz {
namespace {

constexpr std::size_t kFewPoints = 10;

/// What was written reads back to the same points.
void check_round_trip(const scaling::ScalingCurve& curve) {
  const auto again = scaling::parse_scaling_csv(scaling::to_csv(curve), "exported");
  if (again.size() != 1 || again[0].points.size() != curve.points.size() || again[0].unit != curve.unit)
    throw Fault("an exported curve reads back as another");
  for (std::size_t i = 0; i < curve.points.size(); ++i)
    if (again[0].points[i].ranks != curve.points[i].ranks) throw Fault("an exported curve has other ranks");
}

void check_fit(const scaling::ScalingCurve& curve, const std::string& input) {
  const auto fit = scaling::fit_curve(curve);
  const auto targets = scaling::default_targets(fit);
  check_json(scaling::to_json(fit, targets), input);
  check_text(scaling::to_text(fit, targets), input);
  check_text(scaling::to_extrap(fit.curve()), input);
  check_round_trip(fit.curve());
}

void compare_with_itself(const std::string& file, const std::string& curve, const std::string& input) {
  const auto comparison = scaling::compare(scaling::read_run_set(file, curve), scaling::read_run_set(file, curve));
  check_text(to_text(comparison), input);
  check_json(to_json_text(comparison), input);
}

}  // namespace

void curve_csv(const std::string& input, Effort effort) {
  const auto file = write_scratch("curve.csv", input);
  const auto curves = scaling::read_scaling_csv(file);
  for (const auto& curve : curves) check_round_trip(curve);
  if (effort == Effort::quick) return;
  if (curves.front().points.size() <= kFewPoints) check_fit(curves.front(), input);
  if (effort != Effort::thorough) return;
  check_fit(curves.front(), input);
  compare_with_itself(file, curves.front().name, input);
  check_text(to_text(scaling::validate(curves)), input);
}

}  // namespace gpumonth::fuzz
