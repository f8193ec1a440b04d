// Demand: the GPUs that generating a share of all uploads would keep busy. The article's printed 89 k does
// not follow from its own factors; both stand here, with what the printed number would mean.
#include <algorithm>
#include <cmath>

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

void add_printed(const Scenario& s, const Number& per_gpu_day, const Number& factor, Group& group) {
  if (s.has("demand.printed_gpus")) {
    const Number printed = s.at("demand.printed_gpus");
    const Number minutes = printed * per_gpu_day;
    group.lines.push_back({"printed_gpus", "GPUs as the article prints them", printed.as("GPU", "input")});
    group.lines.push_back(
        {"printed_minutes_per_day", "  what those would make", minutes.as("min/day", "GPUs x minutes per GPU-day")});
    Number share = minutes - s.at("uploads.tiktok") * s.at("demand.tiktok_share");
    share.low = std::max(0.0, share.low);
    group.lines.push_back({"printed_youtube_share", "  so that of YouTube's uploads is generated",
                           (share / s.at("uploads.youtube")).as("1", "(made - TikTok's share) / YouTube's uploads")});
    if (factor.known())
      group.lines.push_back({"printed_gpus_x_peak", "  at peak: that number times the factor",
                             (printed * factor).as("GPU", "printed_gpus x peak factor")});
  }
  if (s.has("demand.printed_peak_gpus"))
    group.lines.push_back({"printed_peak_gpus", "  at peak: as the article prints it",
                           s.at("demand.printed_peak_gpus").as("GPU", "input")});
}

}  // namespace

Group demand_group(const Scenario& s, std::vector<std::string>& notes) {
  Group group{.id = "demand", .title = "Demand", .lines = {}};
  if (!s.has_all({"uploads.tiktok", "uploads.youtube", "demand.tiktok_share", "demand.youtube_share"}) ||
      !clip_inference(s).known()) {
    notes.push_back("demand: uploads, demand shares or the clip's inference are not given");
    return group;
  }
  const Number minutes =
      (s.at("uploads.tiktok") * s.at("demand.tiktok_share") + s.at("uploads.youtube") * s.at("demand.youtube_share"))
          .as("min/day", "tiktok x share + youtube x share");
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
