// Demand: the GPUs that generating a share of all uploads would keep busy. A publication's printed number need not
// follow from its own factors; both stand here, with what the printed number would mean.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

/// To the nearest multiple of `step`, but never to 0.
double rounded(double value, double step) {
  if (step <= 0) return value;
  const double multiple = std::round(value / step) * step;
  return multiple > 0 ? multiple : value;
}

Number minutes_per_gpu_day(const Scenario& s) {
  Number rate = minutes_per_gpu_hour(s, clip_inference(s)) * exactly(1);
  const Number step = s.has("demand.rounding") ? s.at("demand.rounding") : exactly(0);
  rate = rate + exactly(0) * step;  // the rounding step is an input too
  rate.low = rounded(rate.low, step.low);
  rate.high = rounded(rate.high, step.high);
  return (rate * exactly(24)).as("min/day", "24 x minutes per GPU-hour, rounded to demand.rounding");
}

using Platforms = std::vector<ListEntry>;

/// Those of whose videos a share is generated.
Platforms generating(const Scenario& s) {
  Platforms found;
  std::copy_if(s.uploads.begin(), s.uploads.end(), std::back_inserter(found), [&](const ListEntry& platform) {
    return s.has(platform.input("video")) && s.has(platform.input("generated_share"));
  });
  return found;
}

/// Minutes a day; 0 of no platform.
Number generated(const Scenario& s, const Platforms& platforms) {
  Number minutes = exactly(0);
  std::string formula;
  for (const auto& platform : platforms) {
    minutes = minutes + s.at(platform.input("video")) * s.at(platform.input("generated_share"));
    formula += (formula.empty() ? "" : " + ") + platform.id + " x share";
  }
  return minutes.as("min/day", formula);
}

/// If all others generate what is said of them: what the printed number leaves to the last one.
Line printed_share(const Scenario& s, Platforms platforms, const Number& minutes) {
  const ListEntry last = platforms.back();
  platforms.pop_back();
  Number share = minutes - generated(s, platforms);
  share.low = std::max(0.0, share.low);
  std::string made = "made";
  for (const auto& other : platforms) made += fmt::format(" - {}'s share", other.name);
  return {fmt::format("printed_{}_share", last.id), fmt::format("  so that of {}'s uploads is generated", last.name),
          (share / s.at(last.input("video"))).as("1", fmt::format("({}) / {}'s uploads", made, last.name))};
}

void add_printed(const Scenario& s, const Number& per_gpu_day, const Number& factor, Group& group) {
  if (s.has("demand.printed_gpus")) {
    const Number printed = s.at("demand.printed_gpus");
    const Number minutes = printed * per_gpu_day;
    group.lines.push_back(
        {"printed_gpus", fmt::format("GPUs as {} prints them", s.printed_by), printed.as("GPU", "input")});
    group.lines.push_back(
        {"printed_minutes_per_day", "  what those would make", minutes.as("min/day", "GPUs x minutes per GPU-day")});
    group.lines.push_back(printed_share(s, generating(s), minutes));
    if (factor.known())
      group.lines.push_back({"printed_gpus_x_peak", "  at peak: that number times the factor",
                             (printed * factor).as("GPU", "printed_gpus x peak factor")});
  }
  if (s.has("demand.printed_peak_gpus"))
    group.lines.push_back({"printed_peak_gpus", fmt::format("  at peak: as {} prints it", s.printed_by),
                           s.at("demand.printed_peak_gpus").as("GPU", "input")});
}

}  // namespace

Group demand_group(const Scenario& s, std::vector<std::string>& notes) {
  Group group{.id = "demand", .title = "Demand", .lines = {}};
  for (const auto& platform : s.uploads)
    if (s.has(platform.input("generated_share")) && !s.has(platform.input("video")))
      notes.push_back(fmt::format("demand: {} is left out, its video is not given", platform.name));
  const Platforms platforms = generating(s);
  if (platforms.empty() || !clip_inference(s).known()) {
    notes.push_back("demand: uploads, demand shares or the clip's inference are not given");
    return group;
  }
  const Number minutes = generated(s, platforms);
  const Number per_gpu_day = minutes_per_gpu_day(s);
  const Number exact_per_gpu_day = minutes_per_gpu_hour(s, clip_inference(s)) * exactly(24);
  Number factor;
  if (s.has_all({"demand.utilisation", "demand.peak_factor", "demand.tries"}))
    factor = (s.at("demand.peak_factor") * s.at("demand.tries") / s.at("demand.utilisation"))
                 .as("1", "peak_factor x tries / utilisation");
  const Number gpus = (minutes / per_gpu_day).as("GPU", "minutes per day / minutes per GPU-day");
  group.lines.push_back({"minutes_per_day", "minutes to generate", minutes});
  group.lines.push_back({"minutes_per_gpu_day", "minutes that one GPU makes in a day", per_gpu_day});
  group.lines.push_back({"gpus", "GPUs, as the factors multiply", gpus});
  group.lines.push_back({"gpus_unrounded", "  without rounding the minutes per GPU-hour",
                         (minutes / exact_per_gpu_day).as("GPU", "minutes per day / (24 x minutes per GPU-hour)")});
  if (factor.known()) {
    group.lines.push_back({"peak_gpus", "  at peak", (gpus * factor).as("GPU", "GPUs x peak factor")});
    group.lines.push_back({"peak_over_mean", "  GPUs bought per GPU busy (peak, tries, idle)", factor});
  }
  add_printed(s, per_gpu_day, factor, group);
  return group;
}

}  // namespace gpumonth::budget
