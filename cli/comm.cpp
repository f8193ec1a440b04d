// gpumonth comm: a collective over a range of sizes: bandwidth, latency, values checked exactly.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/error.h"
#include "base/json.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "comm/check_collective.h"
#include "comm/launch.h"
#include "comm/timed_collective.h"
#include "machine/machine.h"
#include "runlog/writer.h"
#include "trainer/run_info.h"

namespace gpumonth::cli {
namespace {

struct Options {
  comm::CommOptions comm;
  std::string operation = "all_reduce";
  std::uint64_t min_bytes = 8, max_bytes = 1 << 30;
  int factor = 2;
  comm::CollectivePlan plan;
  std::string log;
  bool json = false;
};

struct Sweep {
  const comm::Collective& operation;
  int ranks;
  std::string transport, path, clock;
  std::vector<comm::CollectiveResult> results;

  std::string measured() const {
    return fmt::format(
        "{}, {}fp32, {}, back to back; {} rank{} over {} ({}); {}; times of the slowest "
        "rank",
        operation.title, operation.sums ? "sum of " : "",
        operation.in_place ? "in place" : "from one buffer to another", ranks, ranks == 1 ? "" : "s", transport, path,
        clock);
  }
};

/// As the operation has them on n ranks: the same size once, none of nothing.
std::vector<std::int64_t> sizes(const Options& o, const comm::Collective& operation, int n) {
  std::vector<std::int64_t> all;
  for (std::uint64_t bytes = o.min_bytes; bytes <= o.max_bytes; bytes *= static_cast<std::uint64_t>(o.factor)) {
    const std::int64_t size = 4 * operation.count_of(static_cast<std::int64_t>(bytes), n);
    if (size > 0 && (all.empty() || size != all.back())) all.push_back(size);
  }
  if (all.empty())
    user_error("comm: {} of at most {} bytes on {} ranks leaves each less than 16: use a larger --max-bytes",
               operation.title, o.max_bytes, n);
  return all;
}

void check_sizes(const Options& o) {
  if (o.min_bytes < 4 || o.min_bytes > o.max_bytes) {
    user_error("comm: sizes from {} to {} bytes: --min-bytes must be at least 4 and at most --max-bytes", o.min_bytes,
               o.max_bytes);
  }
}

/// Before anything is measured. The writer finds what is left.
void require_new(const std::string& log) {
  if (log.empty()) return;
  const std::filesystem::path file = log, folder = file.has_parent_path() ? file.parent_path() : ".";
  if (std::filesystem::exists(file)) user_error("{}: exists already; give --log a new file", log);
  if (!std::filesystem::is_directory(folder)) user_error("{}: there is no folder {}", log, folder.string());
}

/// Per rank: what is received, what is sent where that is apart, and what it is checked with.
void require_memory(const Options& o, const comm::Collective& operation, const comm::Communicator& ranks) {
  const double pieces = operation.in_place ? 2 : 3;
  const auto needed = pieces * static_cast<double>(o.max_bytes) * ranks.local_size();
  const auto there = static_cast<double>(machine::this_machine().memory_bytes);
  if (needed <= 0.8 * there) return;
  user_error("comm: {} rank{} on this host need {} for --max-bytes {}, and it has {}: use a smaller --max-bytes",
             ranks.local_size(), ranks.local_size() == 1 ? "" : "s", binary_bytes(needed),
             binary_bytes(static_cast<double>(o.max_bytes)), binary_bytes(there));
}

std::string microseconds(double seconds) { return fmt::format("{:.1f} us", 1e6 * seconds); }

std::string nothing_to_do(const comm::Collective& operation) {
  return fmt::format("one rank has nothing to {}", operation.sums ? "reduce" : "exchange");
}

void print_text(const Sweep& sweep) {
  print("{}\n", sweep.measured());
  print("algbw = bytes / mean, busbw = algbw x {} with n = {}, as nccl-tests defines them\n\n",
        sweep.operation.bus_formula, sweep.ranks);
  std::vector<std::vector<std::string>> rows = {
      {"bytes", "", "repeats", "mean", "median", "p99", "algbw", "busbw", sweep.operation.sums ? "sums" : "values"}};
  for (const comm::CollectiveResult& r : sweep.results) {
    rows.push_back({std::to_string(r.bytes), binary_bytes(static_cast<double>(r.bytes)), std::to_string(r.repeats),
                    microseconds(r.seconds), microseconds(r.median_s), microseconds(r.p99_s),
                    si(r.alg_bytes_per_s(), "B/s"), sweep.ranks > 1 ? si(r.bus_bytes_per_s(), "B/s") : "n/a",
                    r.correct ? "exact" : "WRONG"});
  }
  print("{}", table_text(rows));
  if (sweep.ranks == 1) print("{}: these are the costs of the call\n", nothing_to_do(sweep.operation));
}

void print_json(const Sweep& sweep, const comm::CollectivePlan& plan, const std::vector<std::string>& hosts) {
  Json json;
  json["operation"] = sweep.operation.name;
  json["measured"] = sweep.measured();
  json["ranks"] = sweep.ranks;
  json["hosts"] = hosts;
  json["transport"] = sweep.transport;
  json["transport_description"] = sweep.path;
  json["clock"] = sweep.clock;
  json["warmup"] = plan.warmup;
  json["results"] = Json::array();
  for (const comm::CollectiveResult& r : sweep.results) {
    Json row = {{"bytes", r.bytes},       {"repeats", r.repeats}, {"mean_s", r.seconds},
                {"median_s", r.median_s}, {"p99_s", r.p99_s},     {"algbw_bytes_per_s", r.alg_bytes_per_s()}};
    if (sweep.ranks > 1) row["busbw_bytes_per_s"] = r.bus_bytes_per_s();
    row["correct"] = r.correct;
    json["results"].push_back(row);
  }
  json["notes"] = Json::array();
  if (sweep.ranks == 1) json["notes"].push_back("busbw_bytes_per_s: " + nothing_to_do(sweep.operation));
  print("{}", to_text(json));
}

void write_log(const std::string& file, const runlog::RunInfo& info, const Sweep& sweep) {
  runlog::CommSweep logged{.operation = sweep.operation.name, .measured = sweep.measured(), .rows = {}};
  for (const comm::CollectiveResult& r : sweep.results)
    logged.rows.push_back({r.bytes, r.repeats, r.seconds, r.median_s, r.p99_s, r.correct ? 1 : 0});
  runlog::Writer(file, info, logged).close();
}

void run(const Options& options) {
  check_sizes(options);
  require_new(options.log);
  const comm::Collective& operation = comm::collective(options.operation);
  comm::Environment environment;
  const auto transport = environment.make_transport(options.comm);
  comm::Communicator& ranks = transport->ranks();
  const std::vector<std::int64_t> all_sizes = sizes(options, operation, ranks.size());
  require_memory(options, operation, ranks);
  const runlog::RunInfo info = trainer::machine_info(*transport);
  Sweep sweep{operation,
              ranks.size(),
              transport->name(),
              transport->description(),
              transport->make_timed(operation, 1)->clock(),
              comm::check_collective(*transport, operation, all_sizes, options.plan)};
  if (ranks.rank() == 0) {
    options.json ? print_json(sweep, options.plan, info.hostnames) : print_text(sweep);
    flush_output();
    if (!options.log.empty()) write_log(options.log, info, sweep);
  }
  ranks.barrier();
  for (const comm::CollectiveResult& r : sweep.results) {
    if (!r.correct)
      throw std::runtime_error(fmt::format("{} of {} bytes gives wrong {}: do not train on these ranks",
                                           operation.title, r.bytes, operation.sums ? "sums" : "values"));
  }
}

}  // namespace

void add_comm(Command app) {
  std::vector<std::string> operations;
  for (const comm::Collective& operation : comm::collectives()) operations.emplace_back(operation.name);
  std::string kinds;
  for (const comm::TransportKind& kind : comm::transports())
    kinds += fmt::format("  {:<5} {}{}\n", kind.name, kind.what, kind.built ? "" : " (not built)");
  Command command = app.add_command("comm", "collectives by size: bandwidth, latency, every value checked");
  command.footer(fmt::format(
      "Every rank sums or exchanges fp32 values with all ranks, in the kind of memory that gradients live in. "
      "Sizes\nare nccl-tests': all that a rank holds, a share of every rank where there are shares. --log writes the "
      "times\nto the group /comm of a new run log.\n\nTransports:\n{}\n"
      "  mpirun --bind-to none -n 2 gpumonth comm --max-bytes 64M\n"
      "  mpirun -n 8 gpumonth comm --transport nccl --op all_to_all --log comm.h5",
      kinds));
  const auto o = std::make_shared<Options>();
  o->comm.watchdog_s = 60;
  command.add_option("--op", o->operation, "what the ranks do").type_name("NAME").is_member(operations).show_default();
  command.add_option("--transport", o->comm.transport, "what values travel over; auto: self or mpi")
      .type_name("NAME")
      .is_member(comm::transport_names())
      .show_default();
  command.add_option("--min-bytes", o->min_bytes, "smallest size, of one rank's values; K, M and G are powers of 1024")
      .type_name("BYTES")
      .as_bytes()
      .show_default();
  command.add_option("--max-bytes", o->max_bytes, "largest size").type_name("BYTES").as_bytes().show_default();
  command.add_option("--factor", o->factor, "from one size to the next")
      .type_name("FACTOR")
      .range(2, 1 << 20)
      .show_default();
  command.add_option("--iterations", o->plan.repeats, "timed ones of each size; 0: as many as take 0.1 s, 5 to 1000")
      .type_name("COUNT")
      .range(0, 1'000'000)
      .show_default();
  command.add_option("--warmup", o->plan.warmup, "untimed ones of each size before them")
      .type_name("COUNT")
      .range(0, 1'000'000)
      .show_default();
  command
      .add_option("--watchdog-s", o->comm.watchdog_s,
                  "longest time that those of one size may take together, s; 0: no limit")
      .type_name("SECONDS")
      .range(0.0, 1e9)
      .show_default();
  command.add_flag("--allow-shared-gpu", o->comm.allow_shared_gpu,
                   "nccl: several ranks may use one GPU, over sockets: a test");
  command.add_option("--log", o->log, "run log to write, a new file").type_name("FILE.h5");
  command.add_json_flag(o->json);
  command.run([o] { run(*o); });
}

}  // namespace gpumonth::cli
