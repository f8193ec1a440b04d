// What a run log says about itself beside its speed: what it must share with another log to stand with it on one curve,
// and which run it is. `fit`, `compare`, `budget` and `report` all ask here. Its counted steps and its throughput are
// runlog/summary.h's.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runlog/record.h"
#include "runlog/summary.h"

namespace gpumonth::scaling {

/// Of so few steps nothing is known of their spread.
constexpr std::size_t kFewestSteps = 4;

/// Logs belong on one curve where all of these agree, but the transport: one rank has none.
struct RunFacts {
  std::string model_name, dtype, backend, transport, device_name;
  std::int64_t parameters = 0;
  double tokens_per_sample = 0;  ///< 0: unknown, the log has no steps
  int threads_per_rank = 0;
  int sequence_ranks = 1;                              ///< that share each sample, there or, of one rank's share, not
  std::map<std::string, std::string> model_keys = {};  ///< of [model] in the logged configuration: the shape
  std::string objective = "diffusion";                 ///< what its steps compute; "consistency, guidance 4"
};

/// Of the logs of one run.
RunFacts facts_of(std::span<const runlog::Run> logs);
RunFacts facts_of(const runlog::Run& log);

struct Difference {
  std::string what, in_a, in_b;  ///< "the number of tokens in a sample", "64", "16"
};
/// The first thing in which two models or their samples differ.
std::optional<Difference> model_difference(const RunFacts& a, const RunFacts& b);
/// The first thing that keeps two logs from one curve.
std::optional<Difference> difference(const RunFacts& a, const RunFacts& b);
/// "the number of tokens in a sample is '64' in one and '16' in the other"
std::string to_text(const Difference& difference);

/// What no other run has: where and when it started, and its step times.
std::string identity_of(const runlog::Run& log);

/// "of the 5 runs, 2 are replayed (recorded compute, real communication) and 1 is simulated: a.h5, b.h5, c.h5"; empty where
/// all were measured. `names` and `origins` go together.
std::string origins_note(const std::vector<std::string>& names, const std::vector<runlog::Origin>& origins);

/// What a reader should know of how these runs were read, one line for each kind of thing: steps left out, slow starts,
/// a batch that changes. `names` and `summaries` go together.
std::vector<std::string> reading_notes(const std::vector<std::string>& names,
                                       const std::vector<runlog::Summary>& summaries);

}  // namespace gpumonth::scaling
