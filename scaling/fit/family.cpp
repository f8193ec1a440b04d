#include "scaling/fit/family.h"

#include <cctype>

namespace gpumonth::scaling {

std::string family(const std::string& curve) {
  if (curve.starts_with("mlperf"))
    for (std::size_t i = 0; i + 2 < curve.size(); ++i) {
      if (curve[i] != 'v' || !std::isdigit(static_cast<unsigned char>(curve[i + 1])) || curve[i + 2] != '.') continue;
      const char version = curve[i + 1];
      return version == '1' || version == '2' ? "mlperf_v1-2" : std::string("mlperf_v") + version;
    }
  return curve.substr(0, curve.find('_'));
}

}  // namespace gpumonth::scaling
