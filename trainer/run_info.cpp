#include "trainer/run_info.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>

#include "base/error.h"
#include "base/hdf5.h"
#include "base/shipped.h"
#include "comm/launch.h"
#include "machine/cuda_devices.h"
#include "machine/gpu_libraries.h"
#include "machine/machine.h"
#include "machine/threads.h"
#include "model/hardware.h"
#include "trainer/backend.h"
#include "trainer/gemm_peak.h"
#include "trainer/ops/cpu/onednn.h"
#include "trainer/ops/cpu/parallel.h"

namespace gpumonth::trainer {
namespace {

std::string utc(const char* format) {
  const std::time_t now = std::time(nullptr);
  return fmt::format(fmt::runtime(fmt::format("{{:{}}}", format)), fmt::gmtime(now));
}

/// Compute capability 8.0 is the first with bf16 tensor cores.
bool gpu_has_bf16(const machine::CudaDevice& gpu) { return std::stoi(gpu.compute_capability) >= 8; }

machine::CudaDevice gpu_of(const ResolvedRun& resolved) {
  return machine::cuda_devices().devices.at(static_cast<std::size_t>(resolved.device));
}

/// The datasheet's peak, where the device is known and the datasheet's type is the run's.
void describe_peak(const std::string& device_name, const std::string& dtype, runlog::RunInfo& info) {
  info.peak_flops_per_s = std::nan("");
  if (dtype != "bf16") {
    info.peak_source = "unknown: configs/hardware has bf16 peaks, this run computes in " + dtype;
    return;
  }
  const std::filesystem::path configs = shipped_configs();
  if (configs.empty()) {
    info.peak_source = "unknown: no configs/hardware beside the program";
    return;
  }
  const auto known = model::load_hardware(configs / "hardware");
  if (const model::Hardware* hardware = model::match(known, device_name)) {
    info.peak_flops_per_s = hardware->peak_flops_per_s;
    info.peak_sm_clock_mhz = hardware->peak_sm_clock_mhz;
    info.peak_source = "datasheet: " + hardware->name + ", dense bf16; " + hardware->source;
  } else {
    info.peak_source = "unknown: no file in configs/hardware names this device";
  }
}

void describe_cpu(const ResolvedRun& resolved, const machine::Machine& machine, bool measure, runlog::RunInfo& info) {
  info.device_name = machine.cpu;
  info.peak_flops_per_s = std::nan("");
  info.peak_source = "unknown: a CPU's datasheet peak is not one that it holds; see gemm_peak_flops_per_s";
  info.gemm_peak_flops_per_s = measure ? measure_gemm_peak(resolved.dtype, resolved.threads).flops_per_s : std::nan("");
  info.library_versions["oneDNN"] = ops::onednn_version() + " " + ops::onednn_isa();
}

void describe_gpu(const ResolvedRun& resolved, bool measure, runlog::RunInfo& info) {
  info.device_name = gpu_of(resolved).name;
  describe_peak(info.device_name, resolved.dtype, info);
  info.gemm_peak_flops_per_s =
      measure ? measure_gpu_gemm_peak(resolved.dtype, resolved.device).flops_per_s : std::nan("");
  const machine::CudaDevices found = machine::cuda_devices();
  info.library_versions["CUDA runtime"] = found.runtime;
  info.library_versions["CUDA driver"] = found.driver;
  for (const machine::GpuLibrary& library : machine::gpu_libraries())
    if (!library.version.empty()) info.library_versions[library.name] = library.version;
}

}  // namespace

ResolvedRun resolve(const RunConfig& c, const comm::Transport& transport) {
  ResolvedRun r;
  const Backend backend = choose_backend(c.run.backend, transport);
  r.backend = backend.name;
  r.device = backend.device;
  if (r.backend == "cuda") r.gpu = gpu_of(r).uuid;
  const auto has_bf16 = [&] { return r.backend == "cuda" ? gpu_has_bf16(gpu_of(r)) : ops::has_bf16_hardware(); };
  r.dtype = c.run.dtype != "auto" ? c.run.dtype : has_bf16() ? "bf16" : "fp32";
  r.threads = c.run.threads > 0 ? c.run.threads
                                : machine::default_threads(machine::this_machine(), transport.ranks().local_size());
  if (r.backend == "cpu") machine::require_threads(r.threads);
  r.directory = resolved_directory(c, transport.ranks().size());
  return r;
}

runlog::RunInfo run_info(const RunConfig& c, const ResolvedRun& resolved, const model::ParameterTable& table,
                         comm::Transport& transport) {
  const machine::Machine machine = machine::this_machine();
  runlog::RunInfo info;
  info.gpumonth_version = GPUMONTH_VERSION;
  info.git_commit = GPUMONTH_GIT_COMMIT;
  RunConfig resolved_config = c;
  resolved_config.run.backend = resolved.backend;
  resolved_config.run.dtype = resolved.dtype;
  resolved_config.run.threads = resolved.threads;
  resolved_config.run.directory = resolved.directory;
  config::Table root;
  declare(root, resolved_config);
  info.config_toml = config::to_toml(root);
  info.model_name = c.model.from.empty() ? "inline" : std::filesystem::path(c.model.from).stem().string();
  info.world_size = transport.ranks().size();
  info.threads_per_rank = resolved.threads;
  info.global_batch = c.batch.global;
  info.parameters = table.count();
  info.backend = resolved.backend;
  info.transport = transport.name();
  info.dtype = resolved.dtype;
  info.library_versions = {{"HDF5", hdf5::library_version()}, {"MPI", comm::mpi_version().library}};
  if (resolved.backend == "cuda") {
    describe_gpu(resolved, c.log.measure_gemm_peak, info);
  } else {
    describe_cpu(resolved, machine, c.log.measure_gemm_peak, info);
  }
  info.hostnames = transport.ranks().all_gather(machine.host);
  info.start_time_utc = utc("%Y-%m-%dT%H:%M:%SZ");
  info.resumed_from = c.run.resume;
  return info;
}

runlog::RunInfo machine_info(comm::Transport& transport) {
  const machine::Machine machine = machine::this_machine();
  const int gpu = transport.gpu();
  runlog::RunInfo info;
  info.gpumonth_version = GPUMONTH_VERSION;
  info.git_commit = GPUMONTH_GIT_COMMIT;
  info.world_size = transport.ranks().size();
  info.transport = transport.name();
  info.backend = gpu >= 0 ? "cuda" : "cpu";
  info.device_name = gpu >= 0 ? machine::cuda_devices().devices.at(static_cast<std::size_t>(gpu)).name : machine.cpu;
  info.peak_flops_per_s = info.gemm_peak_flops_per_s = std::nan("");
  info.library_versions = {{"HDF5", hdf5::library_version()}, {"MPI", comm::mpi_version().library}};
  info.hostnames = transport.ranks().all_gather(machine.host);
  info.start_time_utc = utc("%Y-%m-%dT%H:%M:%SZ");
  info.start_time_unix_s = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return info;
}

}  // namespace gpumonth::trainer
