// gpumonth doctor: what this machine is, whether ranks, launcher and libraries agree, what it measures.
#include <fmt/format.h>

#include <memory>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "comm/launch.h"
#include "trainer/diagnosis.h"

namespace gpumonth::cli {
namespace {

using trainer::Diagnosis;

struct Options {
  int threads = 0;
  bool quick = false, json = false;
};

std::string joined(const std::vector<std::string>& words, const std::string& otherwise) {
  return words.empty() ? otherwise : fmt::format("{}", fmt::join(words, " "));
}

/// "node01 x 4, node02 x 4": ranks per host in order of first appearance.
std::string ranks_per_host(const std::vector<std::string>& hosts) {
  std::vector<std::pair<std::string, int>> counts;
  for (const std::string& host : hosts) {
    if (counts.empty() || counts.back().first != host) counts.emplace_back(host, 0);
    ++counts.back().second;
  }
  std::string text;
  for (const auto& [host, count] : counts)
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", host, count);
  return text;
}

void line(const std::string& name, const std::string& value) { fmt::print("{:<12}{}\n", name, value); }

void print_machine(const Diagnosis& d) {
  const trainer::Machine& m = d.machine;
  line("host", m.host);
  line("CPU", fmt::format("{}, {} of {} cores{}", m.cpu, m.cores, m.cores_of_host,
                          m.cgroup_cores > 0 ? fmt::format(" (cgroup quota {:.1f})", m.cgroup_cores) : ""));
  line("ISA", joined(m.isa, "none of AVX2, AVX-512, AMX"));
  line("memory", binary_bytes(static_cast<double>(m.memory_bytes)));
  for (const comm::CudaDevice& gpu : d.cuda.devices) {
    line("GPU", fmt::format("{}, compute capability {}, {}", gpu.name, gpu.compute_capability,
                            binary_bytes(static_cast<double>(gpu.memory_bytes))));
  }
  if (d.cuda.devices.empty()) line("GPU", d.cuda.why_none);
}

void print_software(const Diagnosis& d) {
  line("MPI", fmt::format("{}, threads: {}", d.mpi.library, d.mpi.thread_level));
  line("HDF5", d.hdf5);
  line("oneDNN", fmt::format("{}, uses {}", d.onednn, d.onednn_isa));
  if (!d.cuda.runtime.empty()) {
    line("CUDA", fmt::format("runtime {}, driver {}", d.cuda.runtime,
                             d.cuda.driver.empty() ? "none" : d.cuda.driver));
  }
}

void print_ranks(const Diagnosis& d) {
  line("launcher", d.launch.launcher.empty()
                       ? "none: one rank started by hand"
                       : fmt::format("{}, {} processes", d.launch.launcher, d.launch.size));
  line("ranks", fmt::format("{} ({}), {} thread{} each, transport {}: {}", d.ranks, ranks_per_host(d.hosts),
                            d.threads, d.threads == 1 ? "" : "s", d.transport, d.transport_description));
}

void print_measured(const Diagnosis& d) {
  if (!d.measured) return;
  fmt::print("\nmeasured by rank 0 with {} thread{}{}\n", d.threads, d.threads == 1 ? "" : "s",
             d.ranks > 1 ? ", all ranks at the same time" : "");
  line("GEMM fp32", fmt::format("{} ({})", si(d.gemm_fp32.flops_per_s, "FLOP/s"), d.gemm_fp32.shape));
  line("GEMM bf16", fmt::format("{} ({})", si(d.gemm_bf16.flops_per_s, "FLOP/s"), d.gemm_bf16.shape));
  line("copy", fmt::format("{} (read + written)", si(d.copy_bytes_per_s, "B/s")));
  if (d.all_reduce.empty()) return;
  std::vector<std::vector<std::string>> rows = {{"all-reduce", "time", "bus bandwidth", "sums"}};
  for (const comm::AllReduceResult& r : d.all_reduce) {
    rows.push_back({binary_bytes(static_cast<double>(r.bytes)), fmt::format("{:.1f} us", r.seconds * 1e6),
                    si(r.bus_bytes_per_s, "B/s"), r.correct ? "exact" : "WRONG"});
  }
  fmt::print("\n{}", table_text(rows));
}

void print_text(const Diagnosis& d) {
  print_machine(d);
  print_software(d);
  print_ranks(d);
  print_measured(d);
  fmt::print("\n");
  for (const std::string& problem : d.problems) fmt::print("problem: {}\n", problem);
  if (d.problems.empty()) fmt::print("no problem found\n");
}

Json machine_json(const Diagnosis& d) {
  Json json;
  json["host"] = d.machine.host;
  json["cpu"] = d.machine.cpu;
  json["cores"] = d.machine.cores;
  json["cores_of_host"] = d.machine.cores_of_host;
  json["isa"] = d.machine.isa;
  json["memory_bytes"] = d.machine.memory_bytes;
  json["gpus"] = Json::array();
  for (const comm::CudaDevice& gpu : d.cuda.devices) {
    json["gpus"].push_back({{"name", gpu.name},
                            {"compute_capability", gpu.compute_capability},
                            {"memory_bytes", gpu.memory_bytes}});
  }
  if (d.cuda.devices.empty()) json["why_no_gpu"] = d.cuda.why_none;
  return json;
}

Json measured_json(const Diagnosis& d) {
  Json json;
  json["threads"] = d.threads;
  json["gemm_fp32_flops_per_s"] = d.gemm_fp32.flops_per_s;
  json["gemm_fp32_shape"] = d.gemm_fp32.shape;
  json["gemm_bf16_flops_per_s"] = d.gemm_bf16.flops_per_s;
  json["gemm_bf16_shape"] = d.gemm_bf16.shape;
  json["copy_bytes_per_s"] = d.copy_bytes_per_s;
  json["all_reduce"] = Json::array();
  for (const comm::AllReduceResult& r : d.all_reduce) {
    json["all_reduce"].push_back({{"bytes", r.bytes},
                                  {"seconds", r.seconds},
                                  {"bus_bytes_per_s", r.bus_bytes_per_s},
                                  {"correct", r.correct}});
  }
  return json;
}

void print_json(const Diagnosis& d) {
  Json json;
  json["machine"] = machine_json(d);
  json["libraries"] = {{"mpi", d.mpi.library},
                       {"mpi_thread_level", d.mpi.thread_level},
                       {"hdf5", d.hdf5},
                       {"onednn", d.onednn},
                       {"onednn_isa", d.onednn_isa}};
  json["launcher"] = d.launch.launcher.empty() ? "none" : d.launch.launcher;
  json["launcher_size"] = d.launch.size;
  json["ranks"] = d.ranks;
  json["hosts"] = d.hosts;
  json["transport"] = d.transport;
  json["transport_description"] = d.transport_description;
  if (d.measured) json["measured"] = measured_json(d);
  json["problems"] = d.problems;
  fmt::print("{}", to_text(json));
}

void run(const Options& options) {
  comm::Environment environment;
  const auto ranks = environment.make_communicator({.transport = "auto", .watchdog_s = 60});
  const Diagnosis found = trainer::diagnose(*ranks, options.threads, !options.quick);
  if (ranks->rank() == 0) (options.json ? print_json : print_text)(found);
  ranks->barrier();
}

}  // namespace

void add_doctor(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "doctor",
      "what this machine is, whether ranks, launcher and libraries agree, how fast it multiplies and copies");
  command->footer(
      "Measures matrix products, memory copies and, under mpirun, all-reduces, on the ranks that a run would "
      "have:\n\n"
      "  mpirun --bind-to none -n 2 gpumonth doctor");
  auto options = std::make_shared<Options>();
  command->add_option("--threads", options->threads, "threads per rank; 0: cores of the host / ranks on it")
      ->type_name("THREADS")
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->capture_default_str();
  command->add_flag("--quick", options->quick, "measure nothing (about 10 s less)");
  add_json_flag(*command, options->json);
  command->callback([options] { run(*options); });
}

}  // namespace gpumonth::cli
