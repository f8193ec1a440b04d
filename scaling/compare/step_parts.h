// Where the time of the mean step of one run went, as parts that sum to it.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "runlog/record.h"
#include "runlog/summary.h"

namespace gpumonth::scaling {

enum class StepShare : std::size_t { compute, exposed_comm, stragglers, input, rest };
constexpr std::size_t kStepShares = 5;

/// For JSON keys, and for people.
constexpr std::array<const char*, kStepShares> kStepShareKeys = {"compute", "exposed_comm", "stragglers", "input",
                                                                 "rest"};
constexpr std::array<const char*, kStepShares> kStepShareNames = {"compute", "exposed comm.", "stragglers", "input",
                                                                  "rest"};

using StepShares = std::array<double, kStepShares>;  ///< s, by StepShare

/// Of the logs of one run (more than one after a resume), means over the steps that count:
/// - compute: forward, backward and optimizer of the average rank
/// - stragglers: E[max over ranks of the busy time] - mean over ranks, from /ranks; rank 0 waits for it
/// - exposed_comm: what rank 0 waited for communication, less its wait for the slowest rank
/// - input: waiting for the batch
/// - rest: what no column claims: logging, the loop itself
/// They sum to the mean step time. Without rows in /ranks stragglers count as exposed_comm.
StepShares step_shares(std::span<const runlog::Run> logs, const runlog::Summary& summary);

}  // namespace gpumonth::scaling
