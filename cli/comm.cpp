// gpumonth comm: all-reduces over a range of sizes: bandwidth, latency, sums checked exactly.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <stdexcept>

#include "base/error.h"
#include "base/json.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "comm/all_reduce_check.h"
#include "comm/launch.h"
#include "comm/timed_all_reduce.h"
#include "machine/machine.h"
#include "runlog/writer.h"
#include "trainer/run_info.h"

namespace gpumonth::cli {
namespace {

struct Options {
  comm::CommOptions comm;
  std::uint64_t min_bytes = 8, max_bytes = 1 << 30;
  int factor = 2;
  comm::AllReducePlan plan;
  std::string log;
  bool json = false;
};

struct Sweep {
  int ranks;
  std::string transport, path, clock;
  std::vector<comm::AllReduceResult> results;

  std::string measured() const {
    return fmt::format(
        "all-reduce, sum of fp32, in place, back to back; {} rank{} over {} ({}); {}; times of the slowest "
        "rank",
        ranks, ranks == 1 ? "" : "s", transport, path, clock);
  }
};

std::vector<std::int64_t> sizes(const Options& o) {
  if (o.min_bytes < 4 || o.min_bytes > o.max_bytes) {
    user_error("comm: sizes from {} to {} bytes: --min-bytes must be at least 4 and at most --max-bytes", o.min_bytes,
               o.max_bytes);
  }
  std::vector<std::int64_t> all;
  for (std::uint64_t bytes = o.min_bytes; bytes <= o.max_bytes; bytes *= static_cast<std::uint64_t>(o.factor))
    all.push_back(static_cast<std::int64_t>(bytes / 4 * 4));
  return all;
}

/// Before anything is measured. The writer finds what is left.
void require_new(const std::string& log) {
  if (log.empty()) return;
  const std::filesystem::path file = log, folder = file.has_parent_path() ? file.parent_path() : ".";
  if (std::filesystem::exists(file)) user_error("{}: exists already; give --log a new file", log);
  if (!std::filesystem::is_directory(folder)) user_error("{}: there is no folder {}", log, folder.string());
}

/// Two pieces per rank: what is summed, and what it is checked with.
void require_memory(const Options& o, const comm::Communicator& ranks) {
  const auto needed = 2.0 * static_cast<double>(o.max_bytes) * ranks.local_size();
  const auto there = static_cast<double>(machine::this_machine().memory_bytes);
  if (needed <= 0.8 * there) return;
  user_error("comm: {} rank{} on this host need {} for --max-bytes {}, and it has {}: use a smaller --max-bytes",
             ranks.local_size(), ranks.local_size() == 1 ? "" : "s", binary_bytes(needed),
             binary_bytes(static_cast<double>(o.max_bytes)), binary_bytes(there));
}

std::string microseconds(double seconds) { return fmt::format("{:.1f} us", 1e6 * seconds); }

void print_text(const Sweep& sweep) {
  print("{}\n", sweep.measured());
  print("algbw = bytes / mean, busbw = algbw x 2 (n-1)/n with n = {}, as nccl-tests defines them\n\n", sweep.ranks);
  std::vector<std::vector<std::string>> rows = {
      {"bytes", "", "repeats", "mean", "median", "p99", "algbw", "busbw", "sums"}};
  for (const comm::AllReduceResult& r : sweep.results) {
    rows.push_back({std::to_string(r.bytes), binary_bytes(static_cast<double>(r.bytes)), std::to_string(r.repeats),
                    microseconds(r.seconds), microseconds(r.median_s), microseconds(r.p99_s),
                    si(r.alg_bytes_per_s(), "B/s"), sweep.ranks > 1 ? si(r.bus_bytes_per_s(sweep.ranks), "B/s") : "n/a",
                    r.correct ? "exact" : "WRONG"});
  }
  print("{}", table_text(rows));
  if (sweep.ranks == 1) print("one rank has nothing to reduce: these are the costs of the call\n");
}

void print_json(const Sweep& sweep, const comm::AllReducePlan& plan, const std::vector<std::string>& hosts) {
  Json json;
  json["measured"] = sweep.measured();
  json["ranks"] = sweep.ranks;
  json["hosts"] = hosts;
  json["transport"] = sweep.transport;
  json["transport_description"] = sweep.path;
  json["clock"] = sweep.clock;
  json["warmup"] = plan.warmup;
  json["results"] = Json::array();
  for (const comm::AllReduceResult& r : sweep.results) {
    Json row = {{"bytes", r.bytes},       {"repeats", r.repeats}, {"mean_s", r.seconds},
                {"median_s", r.median_s}, {"p99_s", r.p99_s},     {"algbw_bytes_per_s", r.alg_bytes_per_s()}};
    if (sweep.ranks > 1) row["busbw_bytes_per_s"] = r.bus_bytes_per_s(sweep.ranks);
    row["correct"] = r.correct;
    json["results"].push_back(row);
  }
  json["notes"] = Json::array();
  if (sweep.ranks == 1) json["notes"].push_back("busbw_bytes_per_s: one rank has nothing to reduce");
  print("{}", to_text(json));
}

void write_log(const std::string& file, const runlog::RunInfo& info, const Sweep& sweep) {
  runlog::CommSweep logged{.measured = sweep.measured(), .rows = {}};
  for (const comm::AllReduceResult& r : sweep.results)
    logged.rows.push_back({r.bytes, r.repeats, r.seconds, r.median_s, r.p99_s, r.correct ? 1 : 0});
  runlog::Writer(file, info, logged).close();
}

void run(const Options& options) {
  const std::vector<std::int64_t> all_sizes = sizes(options);
  require_new(options.log);
  comm::Environment environment;
  const auto ranks = environment.make_communicator(options.comm);
  require_memory(options, *ranks);
  const runlog::RunInfo info = trainer::machine_info(*ranks);
  Sweep sweep{ranks->size(), ranks->transport(), ranks->description(), ranks->make_timed_all_reduce(1)->clock(), {}};
  sweep.results = comm::check_all_reduce(*ranks, all_sizes, options.plan);
  if (ranks->rank() == 0) {
    options.json ? print_json(sweep, options.plan, info.hostnames) : print_text(sweep);
    flush_output();
    if (!options.log.empty()) write_log(options.log, info, sweep);
  }
  ranks->barrier();
  for (const comm::AllReduceResult& r : sweep.results) {
    if (!r.correct)
      throw std::runtime_error(
          fmt::format("all-reduce of {} bytes gives wrong sums: do not train on these ranks", r.bytes));
  }
}

}  // namespace

void add_comm(Command app) {
  Command command = app.add_command("comm", "all-reduces by size: bandwidth, latency, sums checked exactly");
  command.footer(
      "Every rank sums fp32 values over all ranks, in the kind of memory that gradients live in. --log "
      "writes the times\n"
      "to the group /comm of a new run log.\n\n"
      "  mpirun --bind-to none -n 2 gpumonth comm --max-bytes 64M\n"
      "  mpirun -n 8 gpumonth comm --transport nccl --log comm.h5");
  const auto o = std::make_shared<Options>();
  o->comm.watchdog_s = 60;
  command.add_option("--transport", o->comm.transport, "what values travel over; auto: self or mpi")
      .type_name("NAME")
      .is_member({"auto", "self", "mpi", "nccl"})
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
  command
      .add_option("--iterations", o->plan.repeats,
                  "timed all-reduces of each size; 0: as many as take 0.1 s, 5 to 1000")
      .type_name("COUNT")
      .range(0, 1'000'000)
      .show_default();
  command.add_option("--warmup", o->plan.warmup, "untimed all-reduces of each size before them")
      .type_name("COUNT")
      .range(0, 1'000'000)
      .show_default();
  command
      .add_option("--watchdog-s", o->comm.watchdog_s,
                  "longest time that the all-reduces of one size may take together, s; 0: no limit")
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
