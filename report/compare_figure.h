// The comparison of two sets of runs as a figure.
#pragma once

#include <string>

#include "scaling/compare/compare.h"

namespace gpumonth::report {

/// A whole SVG file: efficiency of both sets, and their difference, with 90 % intervals.
std::string to_svg(const scaling::Comparison& comparison);

}  // namespace gpumonth::report
