// The facts about a run that its log carries: versions, hosts, device, peaks.
#pragma once

#include "comm/transport.h"
#include "model/parameters.h"
#include "runlog/record.h"
#include "trainer/resolved_run.h"
#include "trainer/run_config.h"

namespace gpumonth::trainer {

/// Decides backend (backend.h), dtype, threads and directory, the same on every rank; "auto" dtype is bf16 on GPUs with
/// tensor cores for it. UserError: cuda asked for but absent.
ResolvedRun resolve(const RunConfig& config, const comm::Transport& transport);

/// Collective. The measured peak is this rank's, taken while all ranks of the host measure theirs.
runlog::RunInfo run_info(const RunConfig& config, const ResolvedRun& resolved, const model::ParameterTable& table,
                         comm::Transport& transport);

/// Collective. What a log that is not of a training run says: versions, hosts, transport and this rank's device.
runlog::RunInfo machine_info(comm::Transport& transport);

}  // namespace gpumonth::trainer
