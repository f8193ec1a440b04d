// The facts about a run that its log carries: versions, hosts, device, peaks.
#pragma once

#include "comm/communicator.h"
#include "model/parameters.h"
#include "runlog/record.h"
#include "trainer/run_config.h"

namespace gpumonth::trainer {

/// What "auto" became.
struct ResolvedRun {
  std::string backend, dtype, directory;
  int threads = 1;
};

/// Decides backend, dtype, threads and directory, the same on every rank. UserError: cuda asked for but absent.
ResolvedRun resolve(const RunConfig& config, const comm::Communicator& communicator);

/// Collective. The measured peak is this rank's, taken while all ranks of the host measure theirs.
runlog::RunInfo run_info(const RunConfig& config, const ResolvedRun& resolved, const model::ParameterTable& table,
                         comm::Communicator& communicator);

}  // namespace gpumonth::trainer
