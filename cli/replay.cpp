// gpumonth replay RUN.h5...: recorded compute and real communication, on the ranks of the launcher.
#include <fmt/format.h>

#include <memory>

#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/what_if.h"
#include "comm/launch.h"
#include "runlog/reader.h"
#include "runlog/summary.h"
#include "trainer/replay/replay_run.h"
#include "trainer/signals.h"

namespace gpumonth::cli {
namespace {

constexpr int kStopped = 3;
/// From here on the measured lateness is a note; above trainer::kMostLate the log is none.
constexpr double kNotedLate = 0.005;

struct Options {
  trainer::ReplayOptions replay;
  comm::CommOptions comm;
  std::string reduce = "sum", stragglers = "on", compute = "sleep";
};

void print_result(const trainer::ReplayResult& result) {
  const std::string summary = runlog::to_text(runlog::summarize(runlog::read(result.run.run_log)));
  if (!summary.empty()) print("{}\n", summary);
  print("{}sleeps ended {:.3f} ms a step late, {:.2f} % of it, on the latest rank\n",
        result.lateness.share > kNotedLate ? "note: " : "", 1e3 * result.lateness.late_s, 1e2 * result.lateness.share);
  print("ready times: {}\n", result.ready_source);
  print("stragglers: {:.2f} % between ranks, {:.2f} % from step to step\n", 1e2 * result.spread.persistent,
        1e2 * result.spread.per_step);
  if (result.run.stopped_by_signal) {
    print("stopped by {} after step {}; log {}\n", trainer::signal_name(result.run.stopped_by_signal),
          result.run.last_step, result.run.run_log);
  } else {
    print("done: {} steps replayed; log {}\n", result.run.last_step, result.run.run_log);
  }
}

/// The exit code; only rank 0 has kStopped, as in train.
int run(Options options) {
  options.replay.adds = options.reduce == "sum";
  replay::set_stragglers(options.replay.changes, options.stragglers);
  if (options.compute == "busy") options.replay.compute = trainer::ComputeStandIn::busy;
  comm::Environment environment;
  const auto transport = environment.make_transport(options.comm);
  trainer::watch_stop_signals();
  const trainer::ReplayResult result = trainer::replay_run(options.replay, *transport);
  const bool speaks = transport->ranks().rank() == 0;
  if (speaks) print_result(result);
  return result.run.stopped_by_signal && speaks ? kStopped : 0;
}

}  // namespace

void add_replay(Command app) {
  Command command = app.add_command("replay", "a recorded run again, at any number of ranks: real communication");
  const auto options = std::make_shared<Options>();
  trainer::ReplayOptions& o = options->replay;
  command.add_option("RUN", o.logs, "run logs of one training, at one batch per rank or several")
      .required()
      .type_name("RUN.h5...");
  command
      .add_option("-o,--directory", o.directory, "folder of the new run.h5; {name}, {ranks} and {time} are filled in")
      .type_name("DIR")
      .show_default();
  command.add_option("--steps", o.steps, "steps to replay").type_name("N").range(1, 2147483647).show_default();
  command.add_option("--seed", o.seed, "of drawn steps and stragglers: the same seed, the same steps")
      .type_name("N")
      .show_default();
  command
      .add_option("--reduce", options->reduce,
                  "none: gradients are sent and not added, which spares processor time; not with nccl")
      .type_name("NAME")
      .is_member({"sum", "none"})
      .show_default();
  add_what_if_options(command, o.changes, options->stragglers);
  command
      .add_option("--compute", options->compute,
                  "what a rank does meanwhile; busy: takes its core, as CPU ranks in training do; not with nccl")
      .type_name("NAME")
      .is_member({"sleep", "busy"})
      .show_default();
  command
      .add_option("--transport", options->comm.transport,
                  "what gradients travel over; auto: self or mpi; nccl: a GPU a rank, whose streams wait")
      .type_name("NAME")
      .is_member(comm::transport_names())
      .show_default();
  command
      .add_option("--watchdog-s", options->comm.watchdog_s, "longest time that one collective may take, s; 0: no limit")
      .type_name("SECONDS")
      .range(0.0, 1e9)
      .show_default();
  command.add_flag("--allow-shared-gpu", options->comm.allow_shared_gpu,
                   "nccl: several ranks may use one GPU, over sockets: a test, they take turns");
  command.footer(
      "Each rank sleeps while the recorded compute would run, and hands every gradient bucket to the reducer at its\n"
      "recorded time; with --transport nccl kernels on its GPU wait, in the streams and the CUDA graph of a training.\n"
      "The log is a run log as any other, origin \"replayed\"; docs/replay.md says what is real in it.\n"
      "Sleeps that end late by more than 2 % of the step make no replay: the log is removed and the exit code is 2.\n\n"
      "  mpirun --bind-to none -n 8 gpumonth replay runs/one-gpu/run.h5 --directory runs/eight\n"
      "  srun --mpi=pmix gpumonth replay run.h5 --byte-scale 0.001 --reduce none --bucket-mib 64");
  command.run_to_code([options] { return run(*options); });
}

}  // namespace gpumonth::cli
