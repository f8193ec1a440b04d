// Every subcommand: one function that declares its options and sets a callback; one thin file
// cli/<command>.cpp that parses, calls and prints. A callback reports a user's mistake by throwing UserError
// (main exits with 2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"

namespace gpumonth::cli {

void add_flops(Command app);
void add_fit(Command app);
void add_compare(Command app);
void add_budget(Command app);
void add_report(Command app);
void add_export(Command app);
void add_import(Command app);
void add_train(Command app);
void add_replay(Command app);
void add_probe(Command app);
void add_sample(Command app);
void add_evaluate(Command app);
void add_comm(Command app);
void add_doctor(Command app);
void add_simulate(Command app);

/// train, replay, sample, evaluate, probe, comm, doctor, simulate; nothing in a build with GPUMONTH_TRAINER=OFF.
void add_trainer_commands(Command app);

/// Prints one line `gpumonth: message` and ends this process, and every rank of its job, with this exit code.
[[noreturn]] void end_job(const std::string& message, int exit_code);

/// What --gpus says, or another option of such numbers. Throws UserError for anything but whole numbers from 1 on, with
/// commas between.
std::vector<std::int64_t> parse_gpus(const std::string& text, const std::string& option = "--gpus");

}  // namespace gpumonth::cli
