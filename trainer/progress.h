// What a person sees of a run: one live line on a terminal, elsewhere one plain line every few seconds. Rank 0 only.
// Training never waits for whoever reads it: a line is left out where there is no room for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runlog/record.h"

namespace gpumonth::trainer {

/// The parts, in ASCII, with two spaces between them; those from the right are dropped until the line is shorter than a
/// terminal of `columns`. A first part that is too long alone is cut.
std::string fitted_line(const std::vector<std::string>& parts, std::size_t columns);

class Progress {
 public:
  /// `peak_flops_per_s` of all ranks together and its name ("MFU", "of GEMM"); NaN leaves it out.
  Progress(std::int64_t last_step, double interval_s, double peak_flops_per_s, const char* peak_name);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void step(const runlog::StepRecord& record);

 private:
  void show(const runlog::StepRecord& record, double step_time_s, double exposed_s);
  std::int64_t last_step_;
  double interval_s_, peak_flops_per_s_;
  const char* peak_name_;
  int terminal_;  ///< a descriptor; -1: not on a terminal
  bool line_open_ = false;
  double last_print_s_ = 0, time_s_ = 0, exposed_s_ = 0;  // since the last line
  std::int64_t steps_ = 0;
};

}  // namespace gpumonth::trainer
