// The step time from its parts, as the run logs have them: what a fit of throughput alone cannot tell apart.
//
//   step(N, b)    = data + compute + optimizer + other + exposed + wait
//   compute(N, b) = c0 + c1 b + c2 b log2(ranks on a host)                   c2: they share memory and power
//   bucket k of S bytes: T = 2 (N-1) alpha + 2 (N-1)/N S / bandwidth          ring (Patarasuk and Yuan 2009),
//                        and the same over hosts where the runs span several
//   exposed = max(0, end of the last bucket - end of backward), the bucket timeline played again: bucket k starts when
//             it is ready and k-1 is done, and is ready at the same share of data + compute as in the log
//   wait    = sqrt(persistent^2 + per_step^2) E_N compute: the slowest of N ranks. E_N is the expected maximum of N
//             standard normals (Blom 1958); persistent: ranks that are always slower, per_step: jitter
//
// All coefficients are non-negative least squares of means over steady steps; intervals are a moving-block
// bootstrap over steps and over sampled buckets; of persistent, whose ranks cannot be drawn again, a
// generalised confidence interval (Weerahandi 1993).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "runlog/record.h"
#include "scaling/fit/mean_functions.h"

namespace gpumonth::scaling {

struct ComponentEstimate {
  double c0_s = 0, c1_s = 0, c2_s = 0;           ///< compute: per step, per sample, per sample and doubling
  double alpha_s = 0, s_per_byte = 0;            ///< of the ring over ranks (of one host, where there are several)
  double host_alpha_s = 0, host_s_per_byte = 0;  ///< of the ring over hosts
  double data_s = 0, optimizer_s = 0, other_s = 0;
  double persistent = 0, per_step = 0;  ///< sd over ranks and over steps, as shares of compute
  struct Bucket {
    double bytes = 0, ready = 0;  ///< ready: as a share of data + compute
  };
  std::vector<Bucket> buckets;
};

struct Component {
  std::string name, unit;
  double value = 0, low = 0, high = 0;  ///< 90 %
};

/// One log's means, s: where its step goes.
struct RunParts {
  std::string run;
  int ranks = 1;
  double batch_per_rank = 0, step_s = 0, data_s = 0, compute_s = 0, optimizer_s = 0, exposed_s = 0, other_s = 0,
         modelled_step_s = 0;
};

struct Components {
  std::string why_unusable;  ///< empty: usable
  std::vector<Component> parameters;
  std::vector<RunParts> runs;
  std::vector<std::string> notes;
  ComponentEstimate best;
  std::vector<ComponentEstimate> replicates;  ///< of the bootstrap
  int ranks_per_host = 1;
  bool several_hosts = false;
};

/// Of logs that curve_of_runs took. Never throws for lack of data: `why_unusable` says what is missing.
Components fit_components(const std::vector<runlog::Run>& runs, int replicates = 200);
Components fit_components(const std::vector<const runlog::Run*>& runs, int replicates = 200);

double step_s(const Components& components, const ComponentEstimate& estimate, double ranks, double batch_per_rank);
/// Expected maximum of n independent standard normals, within 0.5 % (Blom 1958): Phi^-1((n - 3/8) / (n + 1/4)).
double expected_maximum(double n);

/// For FitOptions::components; null where the components are not usable.
std::shared_ptr<const StepModel> step_model(std::shared_ptr<const Components> components);

std::string to_text(const Components& components);
Json to_json(const Components& components);

}  // namespace gpumonth::scaling
