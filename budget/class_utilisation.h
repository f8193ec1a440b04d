// The utilisation that the next training of a class reaches, learned from the bills of others: random effects over
// families, as in a meta-analysis over studies. The logit of family f's mean is
//   mean + N(0, between^2) + N(0, (within^2 + v_f) / k_f)        k_f bills, v_f: mean variance by the ranges of their FLOPs
// within: pooled over the class's families with more than one bill; between: Paule and Mandel 1982. The next training's interval
// (Higgins, Thompson and Spiegelhalter 2009) is mean +- t sqrt(between^2 + within^2 + error of the mean ^2), Student's t
// with (families - 1) degrees of freedom. docs/method.md, "Utilisation by bills".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "budget/bills.h"

namespace gpumonth::budget {

struct ClassUtilisation {
  std::string name;  ///< "media"
  std::size_t families = 0, bills = 0;
  double between = 0, within = 0;        ///< standard deviations of logits
  double low = 0, median = 0, high = 0;  ///< 5, 50 and 95 % of the next training's utilisation
};

constexpr std::size_t kFewestFamilies = 3;

/// Of the bills of `utilisation_class`, without every bill of the family `left_out` (empty: none is left out). Nothing
/// where fewer than kFewestFamilies remain.
std::optional<ClassUtilisation> class_utilisation(const std::vector<Bill>& bills, const std::string& utilisation_class,
                                                  const std::string& left_out = "");

}  // namespace gpumonth::budget
