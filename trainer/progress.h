// What a person sees of a run: one live line on a terminal, elsewhere one plain line every few seconds. Rank 0 only.
#pragma once

#include <cstdint>

#include "runlog/record.h"

namespace gpumonth::trainer {

class Progress {
 public:
  /// `peak_flops_per_s` of all ranks together and its name ("MFU", "of GEMM"); NaN leaves it out.
  Progress(std::int64_t last_step, double interval_s, double peak_flops_per_s, const char* peak_name);
  ~Progress();
  void step(const runlog::StepRecord& record);

 private:
  void print(const runlog::StepRecord& record, double step_time_s, double exposed_s);
  std::int64_t last_step_;
  double interval_s_, peak_flops_per_s_;
  const char* peak_name_;
  bool terminal_, line_open_ = false;
  double last_print_s_ = 0, time_s_ = 0, exposed_s_ = 0;  // since the last line
  std::int64_t steps_ = 0;
};

}  // namespace gpumonth::trainer
