#include "trainer/diagnosis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/hdf5.h"
#include "comm/nccl/gpu_assignment.h"
#include "machine/network.h"
#include "trainer/ops/cpu/onednn.h"

namespace gpumonth::trainer {
namespace {

/// One problem for every rank whose `text` differs from rank 0's.
void check_same(comm::Communicator& communicator, const std::string& what, const std::string& text,
                std::vector<std::string>& problems) {
  const std::vector<std::string> all = communicator.all_gather(text);
  for (std::size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    problems.push_back(
        fmt::format("{}: rank {} has {}, rank 0 has {}; the slowest or oldest decides", what, r, all[r], all[0]));
  }
}

void check_cores(comm::Communicator& communicator, const machine::Machine& machine, int threads,
                 std::vector<std::string>& problems) {
  const int ranks = communicator.local_size();
  const int host_cores = machine.cgroup_cores > 0 ? machine.cores : machine.cores_of_host;
  std::string problem;
  if (threads > machine.cores) {
    problem = fmt::format("{} threads on {} core{}", threads, machine.cores, machine.cores == 1 ? "" : "s");
  } else if (machine.cores * ranks < host_cores) {
    problem = fmt::format("may use {} of {} cores: mpirun binds ranks to cores, use --bind-to none", machine.cores,
                          host_cores);
  } else if (host_cores < ranks && communicator.local_rank() == 0) {
    problem = fmt::format("{} ranks share the {} cores of {}: times measured here say little", ranks, host_cores,
                          machine.host);
  }
  const std::vector<std::string> all = communicator.all_gather(problem);
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (!all[r].empty()) problems.push_back(fmt::format("rank {}: {}", r, all[r]));
  }
}

std::vector<comm::CollectiveResult> check_sums(comm::Transport& transport, std::vector<std::string>& problems) {
  constexpr std::array<std::int64_t, 5> kSizes = {8, 64 << 10, 1 << 20, 16 << 20, 64 << 20};
  auto results = comm::check_collective(transport, comm::collective("all_reduce"), kSizes);
  for (const comm::CollectiveResult& result : results) {
    if (result.correct) continue;
    problems.push_back(fmt::format("all-reduce of {} bytes over {} gives wrong sums: do not train on these ranks",
                                   result.bytes, transport.name()));
  }
  return results;
}

/// The rate, and what the GPU took and held meanwhile where its driver says.
GemmPeak metered_gemm_peak(const machine::CudaDevice& gpu, int device, machine::PowerUnderLoad& power) {
  const auto meter = machine::PowerMeter::open(gpu.uuid);
  if (!meter) return measure_gpu_gemm_peak("bf16", device);
  GemmPeak peak;
  power = machine::power_under_load(*meter, [&] { peak = measure_gpu_gemm_peak("bf16", device); });
  return peak;
}

/// Every rank its own GPU, all at the same time: they share power and cooling. What fails on a GPU is a problem of that
/// rank's, not the end of the diagnosis.
void measure_gpu(comm::Communicator& communicator, Diagnosis& found) {
  std::string problem;
  communicator.barrier();
  if (communicator.local_rank() < static_cast<int>(found.cuda.devices.size()) || found.cuda.devices.size() == 1) {
    const int device = comm::choose_gpu(communicator.local_rank(), static_cast<int>(found.cuda.devices.size()));
    try {
      found.gpu_copy_bytes_per_s = measure_gpu_copy_bandwidth(device);
      found.gpu_gemm_fp32 = measure_gpu_gemm_peak("fp32", device);
      found.gpu_gemm_bf16 =
          metered_gemm_peak(found.cuda.devices[static_cast<std::size_t>(device)], device, found.gpu_power);
      found.gpu_mlp = gpu_mlp_choices(device);
    } catch (const std::exception& error) {
      problem = fmt::format("GPU {}: {}", device, error.what());
    }
  }
  const std::vector<std::string> all = communicator.all_gather(problem);
  for (std::size_t r = 0; r < all.size(); ++r)
    if (!all[r].empty()) found.problems.push_back(fmt::format("rank {}: {}", r, all[r]));
}

void measure_all(comm::Transport& transport, Diagnosis& found) {
  comm::Communicator& communicator = transport.ranks();
  found.measured = true;
  communicator.barrier();  // at the same time: ranks of one host share its memory
  found.copy_bytes_per_s = machine::measure_copy_bandwidth(found.threads);
  communicator.barrier();
  found.gemm_fp32 = measure_gemm_peak("fp32", found.threads);
  communicator.barrier();
  found.gemm_bf16 = measure_gemm_peak("bf16", found.threads);
  measure_gpu(communicator, found);
  if (communicator.size() > 1) found.all_reduce = check_sums(transport, found.problems);
}

/// One problem for every rank whose library cannot be loaded.
void check_gpu_libraries(comm::Communicator& communicator, Diagnosis& found) {
  std::string missing;
  if (!found.cuda.devices.empty()) found.gpu_libraries = machine::gpu_libraries();
  for (const machine::GpuLibrary& library : found.gpu_libraries)
    if (library.version.empty()) missing += (missing.empty() ? "" : ", ") + library.name;
  const std::vector<std::string> all = communicator.all_gather(missing);
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (!all[r].empty())
      found.problems.push_back(
          fmt::format("rank {}: {} cannot be loaded: is its folder in LD_LIBRARY_PATH?", r, all[r]));
  }
}

void look_at_gpus(comm::Communicator& communicator, Diagnosis& found) {
  found.cuda = machine::cuda_devices();
  std::vector<std::string> pci_ids;
  for (const machine::CudaDevice& gpu : found.cuda.devices) pci_ids.push_back(gpu.pci_id);
  if (!pci_ids.empty()) found.topology = machine::gpu_topology(pci_ids);
  check_gpu_libraries(communicator, found);
  check_same(communicator, "GPUs", fmt::format("{}", found.cuda.devices.size()), found.problems);
  check_same(communicator, "GPU driver", found.topology.driver.empty() ? "none" : found.topology.driver,
             found.problems);
}

}  // namespace

Diagnosis diagnose(comm::Transport& transport, int threads, bool measure) {
  comm::Communicator& communicator = transport.ranks();
  Diagnosis found;
  found.machine = machine::this_machine();
  found.launch = comm::detect_launch();
  found.ranks = communicator.size();
  found.ranks_on_host = communicator.local_size();
  found.threads = threads > 0 ? threads : machine::default_threads(found.machine, communicator.local_size());
  found.transport = transport.name();
  found.transport_description = transport.description();
  found.mpi = comm::mpi_version();
  found.hdf5 = hdf5::library_version();
  found.onednn = ops::onednn_version();
  found.onednn_isa = ops::onednn_isa();
  found.network = machine::network_cards();
  found.hosts = communicator.all_gather(found.machine.host);
  check_same(communicator, "CPU", found.machine.cpu, found.problems);
  check_same(communicator, "MPI", found.mpi.library, found.problems);
  check_same(communicator, "HDF5", found.hdf5, found.problems);
  check_same(communicator, "oneDNN", found.onednn + " " + found.onednn_isa, found.problems);
  look_at_gpus(communicator, found);
  check_same(communicator, "threads per rank", fmt::format("{}", found.threads), found.problems);
  check_cores(communicator, found.machine, found.threads, found.problems);
  if (found.ranks > 1 && found.mpi.thread_level != "multiple") {
    found.problems.push_back("MPI gives no MPI_THREAD_MULTIPLE: the watchdog cannot say which rank is missing");
  }
  if (const std::string idle = comm::idle_slurm_tasks(found.launch); !idle.empty()) found.problems.push_back(idle);
  if (measure) measure_all(transport, found);
  return found;
}

void diagnose_nccl(comm::Transport& gpus, bool measure, Diagnosis& found) {
  found.nccl_description = gpus.description();
  if (measure && gpus.ranks().size() > 1) found.nccl_all_reduce = check_sums(gpus, found.problems);
}

}  // namespace gpumonth::trainer
