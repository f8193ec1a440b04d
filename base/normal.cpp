#include "base/normal.h"

#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numbers>

namespace gpumonth {
namespace {

/// In double throughout: long double takes several times as long for digits that nothing here has.
using Normal =
    boost::math::normal_distribution<double,
                                     boost::math::policies::policy<boost::math::policies::promote_double<false>>>;

}  // namespace

// The C library's erfc: exact to a unit in the last place, and a fit asks for it very often.
double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }
double normal_upper(double z) { return 0.5 * std::erfc(z / std::numbers::sqrt2); }
double normal_quantile(double probability) { return boost::math::quantile(Normal(), probability); }

}  // namespace gpumonth
