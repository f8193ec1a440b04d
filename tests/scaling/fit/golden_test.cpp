// Every forecast of the published tables against the reference in Python (tests/reference/forecast_goldens.py).
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "scaling/curve_csv.h"
#include "scaling/fit/fit.h"
#include "tests/budget/samples.h"
#include "tests/catch.h"

using namespace gpumonth;
using namespace gpumonth::scaling;

namespace {

std::vector<std::string> fields(const std::string& line) {
  std::vector<std::string> all;
  std::istringstream text(line);
  for (std::string field; std::getline(text, field, ',');) all.push_back(field);
  return all;
}

ScalingCurve up_to(ScalingCurve curve, std::int64_t ranks) {
  std::erase_if(curve.points, [&](const auto& p) { return p.ranks > ranks; });
  return curve;
}

}  // namespace

TEST_CASE("forecasts are the reference's to 1e-6", "[golden]") {
  std::map<std::string, ScalingCurve> curves;
  for (const char* table : {"scaling.csv", "scaling-fresh-1.csv", "scaling-fresh-2.csv"})
    for (const auto& curve : read_scaling_csv(tests::source_path(std::string("configs/published/") + table)))
      curves[table + std::string(",") + curve.name] = curve;
  std::ifstream file(tests::source_path("tests/scaling/fit/forecasts.csv"));
  std::map<std::string, Fit> fits;
  std::string line;
  std::getline(file, line);
  int compared = 0;
  while (std::getline(file, line)) {
    INFO(line);
    const auto f = fields(line);
    REQUIRE(f.size() == 8);
    const auto curve = curves.find(f[0] + "," + f[1]);
    REQUIRE(curve != curves.end());
    const std::string cut = f[0] + "," + f[1] + "," + f[2];
    if (!fits.contains(cut)) fits.emplace(cut, fit_curve(up_to(curve->second, std::stoll(f[2]))));
    const auto p = fits.at(cut).predict(std::stoll(f[3]), f[4].empty() ? kUnknownBatch : std::stod(f[4]));
    CHECK(p.samples_per_s == Approx(std::stod(f[5])).epsilon(1e-6));
    CHECK(p.low == Approx(std::stod(f[6])).epsilon(1e-6));
    CHECK(p.high == Approx(std::stod(f[7])).epsilon(1e-6));
    ++compared;
  }
  CHECK(compared == 291);
}
