// gpumonth simulate: a recorded run on more ranks than there are, on a cluster that a file describes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/format.h"
#include "base/json.h"
#include "base/number_text.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/what_if.h"
#include "runlog/writer.h"
#include "scaling/run_logs.h"
#include "simulate/calibrate.h"
#include "simulate/simulated_run.h"

namespace gpumonth::cli {
namespace {

struct Options {
  std::vector<std::string> runs, calibration_logs, overrides;
  std::string cluster, ranks, directory = "runs/simulated", stragglers = "on";
  int steps = 10;
  std::uint64_t seed = 1;
  replay::WhatIf changes;
  bool json = false;
};

struct Study {
  simulate::Cluster cluster;
  std::string cluster_words;
  simulate::Calibration calibration;
  std::vector<simulate::SimulatedRun> rows;
  std::vector<std::string> files, notes;
};

void calibrate(const Options& options, Study& study) {
  if (options.calibration_logs.empty()) {
    study.notes.push_back("links as in the cluster file; --calibrate takes them from gpumonth comm --log files");
    return;
  }
  auto [logs, notes] = scaling::read_run_logs(options.calibration_logs);
  study.calibration = simulate::calibrate(study.cluster, logs);
  study.cluster_words += fmt::format(", calibrated by {}", fmt::join(options.calibration_logs, ", "));
  for (auto* more : {&notes, &study.calibration.notes})
    study.notes.insert(study.notes.end(), more->begin(), more->end());
}

/// Before anything is simulated: every log gets a new file in a folder that is there.
std::vector<std::string> new_files(const std::string& directory, const std::vector<std::int64_t>& ranks) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) user_error("-o {}: cannot make this folder ({})", directory, error.message());
  std::vector<std::string> files;
  for (const std::int64_t n : ranks) {
    files.push_back((std::filesystem::path(directory) / fmt::format("simulated-n{}.h5", n)).string());
    if (std::filesystem::exists(files.back())) user_error("{}: exists already; give -o a new folder", files.back());
  }
  return files;
}

std::string milliseconds(double seconds) { return fmt::format("{:.2f} ms", 1e3 * seconds); }

std::string link_text(const simulate::Link& link) {
  return fmt::format("{} and {:.1f} us", si(link.bytes_per_s(), "B/s", 3), 1e6 * link.latency.value);
}

void print_calibration(const char* level, const simulate::Link& link, const simulate::LevelFit& fit) {
  if (fit.rows == 0) return;
  print("{}: {} from {} measured sizes, off by {} in the median, by {} at most ({} bytes)\n", level, link_text(link),
        fit.rows, percent(fit.median_error), percent(fit.largest_error), fit.largest_bytes);
}

void print_text(const Study& study) {
  print("{}: {} hosts of {} GPUs; {} inside a host, {} between hosts\n", study.cluster.name,
        grouped(study.cluster.hosts.value), study.cluster.gpus(), link_text(study.cluster.inside),
        link_text(study.cluster.between));
  print_calibration("inside a host", study.cluster.inside, study.calibration.inside);
  print_calibration("between hosts", study.cluster.between, study.calibration.between);
  std::vector<std::vector<std::string>> table = {
      {"ranks", "hosts", "step", "exposed", "all-to-all", "samples/s", "efficiency", "simulated in", "memory", "log"}};
  for (std::size_t i = 0; i < study.rows.size(); ++i) {
    const simulate::SimulatedRun& r = study.rows[i];
    table.push_back({std::to_string(r.run.info.world_size), std::to_string(r.hosts), milliseconds(r.step_s),
                     milliseconds(r.exposed_s), r.exchange_s > 0 ? milliseconds(r.exchange_s) : "-",
                     compact(r.samples_per_s), percent(r.efficiency), fmt::format("{:.1f} s", r.wall_s),
                     binary_bytes(static_cast<double>(r.peak_bytes)), study.files[i]});
  }
  print("\n{}\n", table_text(table));
  print("efficiency: throughput over that of as many ranks that wait for nobody\n");
  for (const auto& note : study.notes) print("note: {}\n", note);
}

Json link_json(const simulate::Link& link, const simulate::LevelFit& fit) {
  Json json = {{"bytes_per_s", link.bytes_per_s()},
               {"latency_s", link.latency.value},
               {"tag", link.bandwidth.tag},
               {"source", link.bandwidth.source}};
  if (fit.rows > 0)
    json["calibration"] = {{"sizes", fit.rows},
                           {"median_error", fit.median_error},
                           {"largest_error", fit.largest_error},
                           {"largest_error_bytes", fit.largest_bytes}};
  return json;
}

void print_json(const Study& study) {
  Json json;
  json["simulator"] = simulate::simulator_name();
  json["cluster"] = study.cluster.name;
  json["inside"] = link_json(study.cluster.inside, study.calibration.inside);
  json["between"] = link_json(study.cluster.between, study.calibration.between);
  json["rows"] = Json::array();
  for (std::size_t i = 0; i < study.rows.size(); ++i) {
    const simulate::SimulatedRun& r = study.rows[i];
    json["rows"].push_back({{"ranks", r.run.info.world_size},
                            {"hosts", r.hosts},
                            {"step_s", r.step_s},
                            {"comm_s", r.comm_s},
                            {"exposed_comm_s", r.exposed_s},
                            {"exchange_s", r.exchange_s},
                            {"samples_per_s", r.samples_per_s},
                            {"efficiency", r.efficiency},
                            {"wall_s", r.wall_s},
                            {"peak_bytes", r.peak_bytes},
                            {"log", study.files[i]}});
  }
  json["notes"] = study.notes;
  print("{}", to_text(json));
}

simulate::Plan plan_of(const Options& options, Study& study) {
  auto [runs, notes] = scaling::read_run_logs(options.runs, runlog::Kind::shares_too);
  simulate::Plan plan{replay::record(runs), options.changes, options.steps, options.seed};
  replay::set_stragglers(plan.changes, options.stragglers);
  replay::check(plan.changes);
  for (auto& note : notes) study.notes.push_back(std::move(note));
  for (auto& note : simulate::notes(plan)) study.notes.push_back(std::move(note));
  return plan;
}

void run(const Options& options) {
  simulate::require_simulator();
  const auto ranks = parse_gpus(options.ranks, "--ranks");
  Study study;
  if (auto note = note_on_thousands(options.ranks, "--ranks"); !note.empty()) study.notes.push_back(std::move(note));
  study.cluster = simulate::load_cluster(options.cluster, options.overrides);
  study.cluster_words = study.cluster.name;
  if (!options.overrides.empty()) study.cluster_words += fmt::format(" with {}", fmt::join(options.overrides, ", "));
  for (const std::int64_t n : ranks) simulate::shape_of(study.cluster, static_cast<int>(n));
  const simulate::Plan plan = plan_of(options, study);
  for (const std::int64_t n : ranks) simulate::require_layout(plan, study.cluster, static_cast<int>(n));
  calibrate(options, study);
  study.files = new_files(options.directory, ranks);
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    study.rows.push_back(simulate_run(plan, study.cluster, study.cluster_words, static_cast<int>(ranks[i])));
    runlog::write(study.files[i], study.rows.back().run);
  }
  options.json ? print_json(study) : print_text(study);
}

}  // namespace

void add_simulate(Command app) {
  const auto o = std::make_shared<Options>();
  Command command = app.add_command("simulate", "a recorded run on a simulated cluster of any size, as run logs");
  command.footer(fmt::format(
      "Every rank takes the recorded step's times, stragglers drawn anew; its gradient buckets travel over the cluster's\n"
      "simulated links. Each number of ranks becomes a run log DIR/simulated-nN.h5 with origin \"simulated\", which fit,\n"
      "compare, budget and report read. docs/simulate.md says what is modelled and what is not. Simulator: {}\n\n"
      "  gpumonth simulate run.h5 --cluster configs/clusters/dgx-h100.toml --ranks 8,64,512,4096,16384\n"
      "  gpumonth simulate run.h5 --cluster configs/clusters/dgx-h100.toml --ranks 64,512 --sharding full --shard-group 8\n"
      "  gpumonth simulate run.h5 --cluster configs/clusters/dgx-h100.toml --ranks 64,512 --sharding full --sequence-parallel 8\n"
      "  gpumonth simulate run.h5 --cluster mine.toml --ranks 2,8,32 --calibrate comm-n2.h5 -o runs/mine",
      simulate::simulator_name().empty() ? "none, SimGrid was not found when this was built"
                                         : simulate::simulator_name()));
  command.add_option("runs", o->runs, "run logs of gpumonth train, of one model and device")
      .required()
      .type_name("RUN.h5");
  command.add_option("--cluster", o->cluster, "hosts, GPUs and links; configs/clusters/ has some")
      .required()
      .type_name("CLUSTER.toml");
  command.add_option("--ranks", o->ranks, "numbers of ranks, a GPU each, with commas between")
      .required()
      .type_name("N,...");
  command.add_option("--steps", o->steps, "steps to simulate, all of them steady")
      .type_name("COUNT")
      .range(1, 1'000'000)
      .show_default();
  command.add_option("-o,--directory", o->directory, "folder of the run logs; their files must be new")
      .type_name("DIR")
      .show_default();
  command
      .add_option("--calibrate", o->calibration_logs,
                  "latencies and bandwidths from these logs of gpumonth comm --log, not from the cluster file")
      .type_name("COMM.h5");
  command.add_option("--seed", o->seed, "of the drawn steps and stragglers").type_name("NUMBER").show_default();
  add_what_if_options(command, o->changes, o->stragglers);
  command.add_set_option(o->overrides);
  command.add_help_config_flag([] { return simulate::cluster_help(); });
  command.add_json_flag(o->json);
  command.run([o] { run(*o); });
}

}  // namespace gpumonth::cli
