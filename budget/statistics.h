// How well a ratio of sums over steps is known.
#pragma once

#include <span>

namespace gpumonth::budget {

struct Interval {
  double low, high;
};

/// 90 % interval of sum(numerator) / sum(denominator) by a circular moving-block bootstrap (Kuensch 1989,
/// Politis & Romano 1992): steps that follow each other are alike, so blocks of about n^(1/3) of them are
/// drawn. The draws are seeded: the same log gives the same interval. One step gives an interval without
/// width.
Interval bootstrap_ratio(std::span<const double> numerator, std::span<const double> denominator,
                         int resamples = 2000);

}  // namespace gpumonth::budget
