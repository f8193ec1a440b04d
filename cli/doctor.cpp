// gpumonth doctor: what this machine is, whether ranks, launcher and libraries agree, what it measures.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/standard_output.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "comm/launch.h"
#include "comm/nccl/nccl_transport.h"
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
  for (const auto& [host, count] : counts) text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", host, count);
  return text;
}

void line(const std::string& name, const std::string& value) { print("{:<12}{}\n", name, value); }

/// "18 NVLinks, PCIe 5 x16", and what the slot could do where that is more.
std::string links_text(const machine::GpuLinks& links) {
  std::string text = links.nvlinks > 0 ? fmt::format(", {} NVLinks", links.nvlinks) : "";
  if (links.pcie_generation_max == 0) return text;
  text += fmt::format(", PCIe {} x{}", links.pcie_generation_max, links.pcie_lanes_max);
  if (links.pcie_lanes < links.pcie_lanes_max) text += fmt::format(" (runs at x{})", links.pcie_lanes);
  return text;
}

void print_gpus(const Diagnosis& d) {
  for (std::size_t i = 0; i < d.cuda.devices.size(); ++i) {
    const machine::CudaDevice& gpu = d.cuda.devices[i];
    line(fmt::format("GPU {}", i),
         fmt::format("{}, compute capability {}, {} SMs, {}, {}{}", gpu.name, gpu.compute_capability,
                     gpu.multiprocessors, binary_bytes(static_cast<double>(gpu.memory_bytes)), gpu.uuid,
                     i < d.topology.links.size() ? links_text(d.topology.links[i]) : ""));
  }
  for (const std::string& pairs : d.topology.pairs) line("GPU pairs", pairs);
}

void print_machine(const Diagnosis& d) {
  const machine::Machine& m = d.machine;
  line("host", m.host);
  line("CPU", fmt::format("{}, {} of {} cores{}", m.cpu, m.cores, m.cores_of_host,
                          m.cgroup_cores > 0 ? fmt::format(" (cgroup quota {:.1f})", m.cgroup_cores) : ""));
  line("ISA", joined(m.isa, "none of AVX2, AVX-512, AMX"));
  line("memory", binary_bytes(static_cast<double>(m.memory_bytes)));
  line("network", d.network.empty() ? "no card is up" : fmt::format("{}", fmt::join(d.network, ", ")));
  if (d.cuda.devices.empty()) line("GPU", d.cuda.why_none);
  print_gpus(d);
}

void print_software(const Diagnosis& d) {
  line("MPI", fmt::format("{}, threads: {}", d.mpi.library, d.mpi.thread_level));
  line("HDF5", d.hdf5);
  line("oneDNN", fmt::format("{}, uses {}", d.onednn, d.onednn_isa));
  if (d.cuda.devices.empty()) return;  // then one line says why
  line("CUDA", fmt::format("runtime {}, driver {} (CUDA {} and older)", d.cuda.runtime,
                           d.topology.driver.empty() ? "unknown: " + d.topology.why_unknown : d.topology.driver,
                           d.cuda.driver));
  for (const machine::GpuLibrary& library : d.gpu_libraries)
    line(library.name, library.version.empty() ? "cannot be loaded: " + library.why : library.version);
}

void print_ranks(const Diagnosis& d) {
  line("launcher", d.launch.launcher.empty() ? "none: one rank started by hand"
                                             : fmt::format("{}, {} processes", d.launch.launcher, d.launch.size));
  line("ranks", fmt::format("{} ({}), {} thread{} each, transport {}: {}", d.ranks, ranks_per_host(d.hosts), d.threads,
                            d.threads == 1 ? "" : "s", d.transport, d.transport_description));
  if (!d.nccl_description.empty()) line("GPU ranks", d.nccl_description);
}

void print_all_reduces(const std::string& title, const std::vector<comm::CollectiveResult>& results) {
  if (results.empty()) return;
  std::vector<std::vector<std::string>> rows = {{title, "time", "p99", "bus bandwidth", "sums"}};
  for (const comm::CollectiveResult& r : results) {
    rows.push_back({binary_bytes(static_cast<double>(r.bytes)), fmt::format("{:.1f} us", r.seconds * 1e6),
                    fmt::format("{:.1f} us", r.p99_s * 1e6), si(r.bus_bytes_per_s(), "B/s"),
                    r.correct ? "exact" : "WRONG"});
  }
  print("\n{}", table_text(rows));
}

/// "691 of 700 W, 1500 of 1980 MHz while it multiplied bf16: power-limited"
std::string power_text(const machine::PowerUnderLoad& p) {
  const auto of = [](double value, double most, const char* unit) {
    return std::isfinite(most) ? fmt::format("{:.0f} of {:.0f} {}", value, most, unit)
                               : fmt::format("{:.0f} {}", value, unit);
  };
  std::string text = of(p.power_w, p.power_limit_w, "W");
  if (std::isfinite(p.sm_clock_mhz)) text += ", " + of(p.sm_clock_mhz, p.highest_sm_clock_mhz, "MHz");
  text += " while it multiplied bf16";
  if (p.power_limited) text += ": power-limited";
  if (p.heat_limited) text += p.power_limited ? ", and limited by heat" : ": limited by heat";
  return text;
}

void print_measured(const Diagnosis& d) {
  if (!d.measured) return;
  print("\nmeasured by rank 0 with {} thread{}{}\n", d.threads, d.threads == 1 ? "" : "s",
        d.ranks > 1 ? ", all ranks at the same time" : "");
  line("GEMM fp32", fmt::format("{} ({})", si(d.gemm_fp32.flops_per_s, "FLOP/s"), d.gemm_fp32.shape));
  line("GEMM bf16", fmt::format("{} ({})", si(d.gemm_bf16.flops_per_s, "FLOP/s"), d.gemm_bf16.shape));
  line("copy", fmt::format("{} (read + written)", si(d.copy_bytes_per_s, "B/s")));
  if (!d.gpu_gemm_fp32.shape.empty())
    line("GPU fp32",
         fmt::format("{} ({}), without TF32", si(d.gpu_gemm_fp32.flops_per_s, "FLOP/s"), d.gpu_gemm_fp32.shape));
  if (!d.gpu_gemm_bf16.shape.empty())
    line("GPU bf16", fmt::format("{} ({})", si(d.gpu_gemm_bf16.flops_per_s, "FLOP/s"), d.gpu_gemm_bf16.shape));
  if (d.gpu_power.known()) line("GPU power", power_text(d.gpu_power));
  if (std::isfinite(d.gpu_copy_bytes_per_s))
    line("GPU copy", fmt::format("{} (read + written)", si(d.gpu_copy_bytes_per_s, "B/s")));
  for (const std::string& choice : d.gpu_mlp) line("GPU MLP", choice);
  print_all_reduces("all-reduce", d.all_reduce);
  print_all_reduces("NCCL all-reduce", d.nccl_all_reduce);
}

void print_text(const Diagnosis& d) {
  print_machine(d);
  print_software(d);
  print_ranks(d);
  print_measured(d);
  print("\n");
  for (const std::string& problem : d.problems) print("problem: {}\n", problem);
  if (d.problems.empty()) print("no problem found\n");
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
  for (const machine::CudaDevice& gpu : d.cuda.devices) {
    json["gpus"].push_back({{"name", gpu.name},
                            {"compute_capability", gpu.compute_capability},
                            {"memory_bytes", gpu.memory_bytes},
                            {"uuid", gpu.uuid},
                            {"pci_id", gpu.pci_id},
                            {"multiprocessors", gpu.multiprocessors}});
  }
  for (std::size_t i = 0; i < d.topology.links.size(); ++i) {
    const machine::GpuLinks& links = d.topology.links[i];
    json["gpus"][i]["nvlinks"] = links.nvlinks;
    json["gpus"][i]["pcie_generation"] = links.pcie_generation_max;
    json["gpus"][i]["pcie_lanes"] = links.pcie_lanes;
  }
  json["gpu_pairs"] = d.topology.pairs;
  json["network"] = d.network;
  if (d.cuda.devices.empty()) json["why_no_gpu"] = d.cuda.why_none;
  return json;
}

Json all_reduces_json(const std::vector<comm::CollectiveResult>& results) {
  Json json = Json::array();
  for (const comm::CollectiveResult& r : results) {
    json.push_back({{"bytes", r.bytes},
                    {"seconds", r.seconds},
                    {"p99_s", r.p99_s},
                    {"bus_bytes_per_s", r.bus_bytes_per_s()},
                    {"correct", r.correct}});
  }
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
  if (!d.gpu_gemm_fp32.shape.empty()) {
    json["gpu_gemm_fp32_flops_per_s"] = d.gpu_gemm_fp32.flops_per_s;
    json["gpu_gemm_fp32_shape"] = d.gpu_gemm_fp32.shape;
  }
  if (!d.gpu_gemm_bf16.shape.empty()) {
    json["gpu_gemm_bf16_flops_per_s"] = d.gpu_gemm_bf16.flops_per_s;
    json["gpu_gemm_bf16_shape"] = d.gpu_gemm_bf16.shape;
  }
  if (d.gpu_power.known()) {
    const auto set = [&json](const char* key, double value) {
      if (std::isfinite(value)) json[key] = value;
    };
    set("gpu_power_w", d.gpu_power.power_w);
    set("gpu_power_limit_w", d.gpu_power.power_limit_w);
    set("gpu_sm_clock_mhz", d.gpu_power.sm_clock_mhz);
    set("gpu_highest_sm_clock_mhz", d.gpu_power.highest_sm_clock_mhz);
    json["gpu_power_limited"] = d.gpu_power.power_limited;
    json["gpu_heat_limited"] = d.gpu_power.heat_limited;
  }
  if (std::isfinite(d.gpu_copy_bytes_per_s)) json["gpu_copy_bytes_per_s"] = d.gpu_copy_bytes_per_s;
  if (!d.gpu_mlp.empty()) json["gpu_mlp_choices"] = d.gpu_mlp;
  json["all_reduce"] = all_reduces_json(d.all_reduce);
  if (!d.nccl_all_reduce.empty()) json["nccl_all_reduce"] = all_reduces_json(d.nccl_all_reduce);
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
  if (!d.cuda.devices.empty()) {
    json["libraries"]["cuda_runtime"] = d.cuda.runtime;
    json["libraries"]["cuda_driver"] = d.cuda.driver;
    if (!d.topology.driver.empty()) json["libraries"]["driver"] = d.topology.driver;
  }
  for (const machine::GpuLibrary& library : d.gpu_libraries)
    if (!library.version.empty()) json["libraries"][library.name] = library.version;
  json["launcher"] = d.launch.launcher.empty() ? "none" : d.launch.launcher;
  json["launcher_size"] = d.launch.size;
  json["ranks"] = d.ranks;
  json["hosts"] = d.hosts;
  json["transport"] = d.transport;
  json["transport_description"] = d.transport_description;
  if (!d.nccl_description.empty()) json["nccl_description"] = d.nccl_description;
  if (d.measured) json["measured"] = measured_json(d);
  json["problems"] = d.problems;
  print("{}", to_text(json));
}

/// Where every rank has a GPU. What NCCL's transport refuses is a problem like others; all ranks refuse alike.
void try_nccl(comm::Environment& environment, comm::Communicator& ranks, bool measure, Diagnosis& found) {
  double without = found.cuda.devices.empty() ? 1 : 0;
  ranks.all_reduce_sum(std::span<double>(&without, 1));
  if (ranks.size() == 1 || without > 0 || !comm::nccl_is_built()) return;
  try {
    const auto gpus = environment.make_transport({.transport = "nccl", .watchdog_s = 60});
    trainer::diagnose_nccl(*gpus, measure, found);
  } catch (const UserError& error) {
    found.problems.push_back(error.what());
  }
}

void run(const Options& options) {
  comm::Environment environment;
  const bool alone = !comm::idle_slurm_tasks(comm::detect_launch()).empty();  // said among the problems
  const auto transport = environment.make_transport({.transport = alone ? "self" : "auto", .watchdog_s = 60});
  comm::Communicator& ranks = transport->ranks();
  Diagnosis found = trainer::diagnose(*transport, options.threads, !options.quick);
  try_nccl(environment, ranks, !options.quick, found);
  if (ranks.rank() == 0) (options.json ? print_json : print_text)(found);
  ranks.barrier();
}

}  // namespace

void add_doctor(Command app) {
  Command command = app.add_command(
      "doctor", "what this machine is, whether ranks, launcher and libraries agree, how fast it multiplies and copies");
  command.footer(
      "Measures matrix products, memory copies and, under mpirun, all-reduces, on the ranks that a run would "
      "have;\nwhere every rank has a GPU, all-reduces over NCCL too.\n\n"
      "  mpirun --bind-to none -n 2 gpumonth doctor");
  auto options = std::make_shared<Options>();
  command.add_option("--threads", options->threads, "threads per rank; 0: cores of the host / ranks on it")
      .type_name("THREADS")
      .range(0, 1 << 20)
      .show_default();
  command.add_flag("--quick", options->quick, "measure nothing (about 10 s less)");
  command.add_json_flag(options->json);
  command.run([options] { run(*options); });
}

}  // namespace gpumonth::cli
