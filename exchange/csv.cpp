// A table with a row for each operation, and one for each step, for pandas and spreadsheets.
#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "exchange/formats.h"

namespace gpumonth::exchange {
namespace {

std::string csv_number(double value) { return std::isfinite(value) ? fmt::format("{:.9g}", value) : ""; }

}  // namespace

std::string to_csv(const Timeline& timeline) {
  std::string text = "step,phase,rank,operation,bucket,start_s,duration_s,bytes,source,samples,loss,power_w\n";
  for (const auto* step : timeline.steps()) {
    const char* phase = name(step->phase);
    fmt::format_to(std::back_inserter(text), "{},{},0,step,,{:.9f},{:.9f},,measured,{},{},{}\n", step->step, phase,
                   step->start_time_s, step->step_time_s, step->samples, csv_number(step->loss),
                   csv_number(step->power_w));
    for (int rank = 0; rank < timeline.ranks(); ++rank) {
      for (const Operation& o : timeline.operations(*step, rank)) {
        fmt::format_to(std::back_inserter(text), "{},{},{},{},{},{:.9f},{:.9f},{},{},,,\n", o.step, phase, o.rank,
                       name(o.kind), o.bucket < 0 ? "" : fmt::to_string(o.bucket), o.start_s, o.duration_s,
                       o.bytes > 0 ? fmt::to_string(o.bytes) : "", name(o.source));
      }
    }
  }
  return text;
}

}  // namespace gpumonth::exchange
