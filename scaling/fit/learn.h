// The constants of a fit (constants.h) found from tables of curves, so that nobody has to believe them.
//
// What is maximised is the mean log forecast density of rolling origin (cuts.h), forecasts of a curve with n of them weighing
// n^-1/2 each: two sweeps of coordinate descent over round values from a first guess that was written down before anything
// was fitted. Not the peak is taken but the mean of all constants that were visited, weighted by exp(12 x mean log
// density): 12 is about the number of families, that is of independent observations.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "scaling/curve.h"
#include "scaling/fit/constants.h"

namespace gpumonth::scaling {

struct Learned {
  std::string left_out;  ///< a family (family.h), whose curves had no part in this; empty: none was
  std::size_t forecasts = 0;
  Constants mean, peak;
  double start_density = 0, peak_density = 0;  ///< mean log forecast density of the first guess and of the peak
  /// Of the curves that were left out, under `mean` and under the fit's own constants; NaN where none was.
  double left_out_density = 0, left_out_own_density = 0;
};

/// On all cores. Throws UserError: no curve of at least 4 rank counts is left, or no curve is of `leave_out`.
Learned learn(const std::vector<ScalingCurve>& curves, const std::string& leave_out);

std::string to_text(const std::vector<Learned>& learned);
Json to_json(const std::vector<Learned>& learned);

}  // namespace gpumonth::scaling
