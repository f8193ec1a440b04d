// gpumonth train RUN.toml: trains on the ranks of the launcher, or alone.
#include <fmt/format.h>

#include <memory>

#include "base/standard_output.h"
#include "cli/commands.h"
#include "comm/launch.h"
#include "runlog/gpu_use.h"
#include "runlog/reader.h"
#include "runlog/shared_samples.h"
#include "runlog/summary.h"
#include "scaling/noise_scale.h"
#include "trainer/backend.h"
#include "trainer/loop.h"
#include "trainer/signals.h"

namespace gpumonth::cli {
namespace {

constexpr int kStopped = 3;

struct Options {
  std::string file;
  std::vector<std::string> overrides;
};

/// For a shell: in single quotes unless it is plain.
std::string quoted(const std::string& word) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

/// The command that goes on from `checkpoint`: what was given, with another run.resume.
std::string resume_command(const Options& options, const std::string& checkpoint) {
  std::string command = "gpumonth train " + quoted(options.file);
  for (const std::string& given : options.overrides)
    if (!given.starts_with("run.resume=")) command += " --set " + quoted(given);
  return command + " --set " + quoted("run.resume=" + checkpoint);
}

void print_result(const Options& options, const trainer::TrainResult& result) {
  const runlog::Run log = runlog::read(result.run_log, runlog::Kind::shares_too);
  for (const std::string& line : {runlog::to_text(runlog::summarize(log)), runlog::gpu_text(log),
                                  runlog::shared_samples_text(log), scaling::to_text(scaling::noise_scale(log))})
    if (!line.empty()) print("{}\n", line);
  if (result.stopped_by_signal) {
    print("stopped by {} after step {}; go on with: {}\n", trainer::signal_name(result.stopped_by_signal),
          result.last_step, resume_command(options, result.checkpoint));
  } else {
    print("done: {} steps, loss {:.4f}; log {}{}\n", result.last_step, result.last_loss, result.run_log,
          result.checkpoint.empty() ? "" : ", checkpoint " + result.checkpoint);
  }
}

/// The exit code. Only rank 0 has kStopped: a launcher that ends the others at the first code that is not 0 must not
/// end the one that speaks.
int run(const Options& options) {
  comm::Environment environment;
  const int world = comm::detect_launch().size;
  const trainer::RunConfig config = trainer::load_run(options.file, options.overrides, world);
  const auto transport =
      environment.make_transport({config.comm.transport, config.comm.watchdog_s, config.comm.allow_shared_gpu});
  trainer::watch_stop_signals();  // one that comes while the step is made waits for the first one's end
  const trainer::ResolvedRun resolved = trainer::resolve(config, *transport);
  const auto step = trainer::make_dit_step(config, resolved, *transport);
  const trainer::TrainResult result = trainer::train(config, resolved, *transport, *step);
  const bool speaks = transport->ranks().rank() == 0;
  if (speaks) print_result(options, result);
  return result.stopped_by_signal && speaks ? kStopped : 0;
}

}  // namespace

void add_train(Command app) {
  Command command = app.add_command("train", "trains a DiT, alone or under mpirun/srun, and logs every step");
  const auto options = std::make_shared<Options>();
  command.add_option("RUN", options->file, "run file, e.g. configs/runs/tiny.toml").required().type_name("RUN.toml");
  command.add_set_option(options->overrides);
  command.add_help_config_flag([] {
    trainer::RunConfig defaults;
    config::Table root;
    trainer::declare(root, defaults);
    return config::help_text(root);
  });
  command.footer(
      "SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGXCPU, to any rank, end the run after the step in progress: it\n"
      "writes a checkpoint, closes the log, says how to go on and exits with 3. A second Ctrl-C ends it at once.\n"
      "Exit codes: 0 all steps done, 1 a fault of the program or of a library, 2 something the user can mend, 3 stopped\n"
      "by a signal. Where standard output cannot be written, a closed pipe say, training goes on to its end, and then\n"
      "exits with 2.");
  command.run_to_code([options] { return run(*options); });
}

}  // namespace gpumonth::cli
