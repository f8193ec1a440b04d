// Every subcommand: one function that declares its options and sets a callback; one thin file
// cli/<command>.cpp that parses, calls and prints. A callback reports a user's mistake by throwing UserError
// (main exits with 2).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace gpumonth::cli {

void add_flops(CLI::App& app);
void add_fit(CLI::App& app);
void add_compare(CLI::App& app);
void add_budget(CLI::App& app);
void add_report(CLI::App& app);
void add_train(CLI::App& app);
void add_probe(CLI::App& app);
void add_comm(CLI::App& app);
void add_doctor(CLI::App& app);

/// train, probe, comm, doctor; nothing in a build with GPUMONTH_TRAINER=OFF.
void add_trainer_commands(CLI::App& app);

/// Prints one line `gpumonth: message` and ends this process, and every rank of its job, with this exit code.
[[noreturn]] void end_job(const std::string& message, int exit_code);

/// The options that mean the same in every command.
CLI::Option* add_set_option(CLI::App& command, std::vector<std::string>& overrides);
CLI::Option* add_json_flag(CLI::App& command, bool& json);
/// --gpus 512,1024: numbers of GPUs. parse_gpus throws UserError for anything but whole numbers from 1 on.
CLI::Option* add_gpus_option(CLI::App& command, std::string& gpus);
std::vector<std::int64_t> parse_gpus(const std::string& text);
/// --help-config prints what `text` returns, config::help_text of the file's table, and ends.
CLI::Option* add_help_config_flag(CLI::App& command, std::function<std::string()> text);

}  // namespace gpumonth::cli
