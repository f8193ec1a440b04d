#include <fmt/ranges.h>

#include <memory>
#include <set>

#include "base/error.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "exchange/formats.h"
#include "runlog/reader.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::string run, steps;
  std::vector<std::string> targets =
      std::vector<std::string>(exchange::formats().size());  // by format; empty: not asked
  bool force = false;
};

/// "--perfetto FILE.json, --chakra PREFIX, ..."
std::string format_list() {
  std::vector<std::string> options;
  for (const auto& format : exchange::formats()) options.push_back(fmt::format("--{} {}", format.name, format.takes));
  return fmt::format("{}", fmt::join(options, ", "));
}

void run(const Options& options) {
  std::size_t asked = 0;
  for (const auto& target : options.targets) asked += !target.empty();
  if (asked == 0) user_error("export: say what to write, one or more of {}", format_list());
  const auto log = runlog::read(options.run);
  std::set<std::string> said;
  for (std::size_t i = 0; i < options.targets.size(); ++i) {
    if (options.targets[i].empty()) continue;
    const auto exported =
        exchange::export_run(log, exchange::formats()[i], options.targets[i], options.steps, options.force);
    print("{}\n", exported.summary);
    for (const auto& note : exported.notes)
      if (said.insert(note).second) print("note: {}\n", note);
  }
}

}  // namespace

void add_export(Command app) {
  auto options = std::make_shared<Options>();
  Command command = app.add_command("export", "a run log in the formats of other tools: Perfetto, ASTRA-sim, ...");
  command.footer(
      "Of rank 0 a log has every part of a step, of other ranks their busy time, and on each log.bucket_every-th step\n"
      "the timeline of gradient buckets; docs/exchange.md says what becomes of them in each format.\n\n"
      "  gpumonth export runs/tiny-2ranks/run.h5 --perfetto trace.json       # open it at ui.perfetto.dev\n"
      "  gpumonth export runs/tiny-2ranks/run.h5 --chakra et/tiny --steps 20:40\n"
      "  gpumonth export runs/tiny-2ranks/run.h5 --goal tiny.goal --csv operations.csv");
  command.add_option("run", options->run, "run log").required().type_name("RUN.h5").option_text("RUN.h5");
  for (std::size_t i = 0; i < options->targets.size(); ++i) {
    const auto& format = exchange::formats()[i];
    command.add_option(fmt::format("--{}", format.name), options->targets[i], format.help).type_name(format.takes);
  }
  command
      .add_option(
          "--steps", options->steps,
          "the steps to write, both ends included; default: the last 10 steady ones, or the last 5 with buckets")
      .type_name("A:B");
  command.add_flag("--force", options->force, "overwrite files that exist");
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
