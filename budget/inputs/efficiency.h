// What one run log says about speed: throughput and model FLOPs utilisation (MFU), from the steps that count
// (runlog/summary.h).
//
//   MFU = sum(model FLOPs) / (sum(step time) x ranks x peak of one rank)
//
// The interval is a 90 % block bootstrap over steps; a log with fewer than kFewestSteps of them has none. The
// peak is the device's datasheet peak where the log has one, else the GEMM rate that was measured on one rank
// when the run started; a CPU has only that.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "budget/inputs/number.h"
#include "model/hardware.h"
#include "runlog/gpu_use.h"
#include "runlog/record.h"
#include "scaling/measured_run.h"
#include "scaling/run_kinds.h"

namespace gpumonth::budget {

struct Efficiency {
  std::string path;  ///< of the log
  std::string device_name, model_name, dtype, transport, backend;
  runlog::Origin origin = runlog::Origin::measured;
  std::string source;  ///< of one that was not measured: the logs whose compute it holds, and what was changed
  int ranks = 1;
  int units_per_rank = 1;   ///< what a rank works with: threads on a CPU, else 1; scaling is judged per unit
  double global_batch = 0;  ///< samples of a step, mean; as configured where no step counts
  scaling::RunFacts facts;  ///< what it must share with others to stand on their curve
  runlog::Summary summary;  ///< the steps that count, and those that do not
  std::size_t steps = 0;    ///< that count; 0: nothing below is known
  double step_median_s = std::numeric_limits<double>::quiet_NaN();
  double step_p5_s = std::numeric_limits<double>::quiet_NaN();  ///< 5th percentile over steps
  double step_p95_s = std::numeric_limits<double>::quiet_NaN();
  double samples_per_s = std::numeric_limits<double>::quiet_NaN();     ///< all ranks together
  double flops_per_s = std::numeric_limits<double>::quiet_NaN();       ///< model FLOP/s, all ranks together
  double peak_flops_per_s = std::numeric_limits<double>::quiet_NaN();  ///< the denominator, one rank
  bool peak_is_measured = false;  ///< a GEMM rate measured on that machine, not a datasheet
  std::string peak_source;
  double mfu = std::numeric_limits<double>::quiet_NaN();
  double mfu_low = std::numeric_limits<double>::quiet_NaN();  ///< 90 % interval of the mean over the run; NaN: none
  double mfu_high = std::numeric_limits<double>::quiet_NaN();
  double step_mfu_p5 = std::numeric_limits<double>::quiet_NaN();  ///< spread of single steps, 5 % .. 95 %
  double step_mfu_median = std::numeric_limits<double>::quiet_NaN();
  double step_mfu_p95 = std::numeric_limits<double>::quiet_NaN();
  runlog::GpuUse gpu;  ///< energy and clock, of logs of GPUs whose driver told
  /// MFU over the peak at the clock that was held; NaN: no clock, or no datasheet says at which clock the peak is.
  double mfu_at_clock = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> forward_s, backward_s;  ///< by step that counts: per sample of a rank (layer_logs.h)
  double hardware_over_model_flops = 1;       ///< above 1: the run recomputed activations
  std::string why_unknown;                    ///< why there is no MFU; empty where there is

  scaling::PlacedRun placed() const { return {path, ranks, global_batch / ranks, origin}; }
  bool has_steps() const { return steps > 0; }
  bool has_mfu() const { return why_unknown.empty(); }
  bool has_interval() const { return has_mfu() && steps >= scaling::kFewestSteps; }
};

Efficiency efficiency_of(const runlog::Run& run);

/// What a reader should know of how these logs were read: steps left out, slow starts, batches that change, logs that
/// know too little of themselves, and logs that do not belong on one curve.
std::vector<std::string> reading_notes(const std::vector<Efficiency>& runs);

/// Runs that belong on one curve.
using Runs = std::vector<const Efficiency*>;
/// The wanted ones, in groups that belong on one curve each, in their order.
std::vector<Runs> that_belong_together(const std::vector<Efficiency>& runs, bool (Efficiency::*wanted)() const);
/// As points of their curve.
std::vector<scaling::PlacedRun> placed(const Runs& runs);
/// By run, the one that counts in its stead: on the same curve, ranks and batch, of a better kind (scaling/run_kinds.h).
/// Null: it counts itself.
Runs superseding(const std::vector<Efficiency>& runs);
/// One name for two models is a mistake, whichever is meant, but for one model at several lengths of samples: throws
/// UserError that names both logs and what differs.
void check_models(const std::vector<Efficiency>& runs);

/// What follows from a run with this origin is.
Tag tag_of(runlog::Origin origin);

/// Those that have an MFU and count.
Runs pooled_runs(const std::vector<Efficiency>& runs);
/// The MFU of several runs as one number: from the lowest low to the highest high of the pooled ones; of a run without an
/// interval its MFU alone. Unknown where none has one.
Number pooled_mfu(const std::vector<Efficiency>& runs);

/// Whether that number speaks of another machine than `target`: another device, or a denominator that is a
/// measured matrix-product rate instead of the datasheet's peak.
bool is_carried_over(const std::vector<Efficiency>& runs, const model::Hardware& target);

constexpr const char* kCarriedOver = "carried over";
/// The factor 1 by which a carried-over efficiency is multiplied: an assumption that shows in the provenance.
Number carried_over();

}  // namespace gpumonth::budget
