#include "base/sampling_distributions.h"

#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/students_t.hpp>

namespace gpumonth {

using boost::math::cdf, boost::math::chi_squared, boost::math::complement, boost::math::quantile,
    boost::math::students_t;

double students_t_quantile(double freedom, double probability) { return quantile(students_t(freedom), probability); }
double students_t_upper(double freedom, double t) { return cdf(complement(students_t(freedom), t)); }
double chi_squared_quantile(double freedom, double probability) { return quantile(chi_squared(freedom), probability); }
double chi_squared_upper(double freedom, double statistic) { return cdf(complement(chi_squared(freedom), statistic)); }

}  // namespace gpumonth
