#include "trainer/run_info.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "base/error.h"
#include "comm/launch.h"
#include "trainer/gemm_peak.h"
#include "trainer/machine.h"
#include "trainer/ops/onednn.h"

namespace gpumonth::trainer {
namespace {

std::string fill_in(std::string text, const std::string& key, const std::string& value) {
  for (std::size_t at; (at = text.find(key)) != std::string::npos;) text.replace(at, key.size(), value);
  return text;
}

std::string utc(const char* format) {
  const std::time_t now = std::time(nullptr);
  return fmt::format(fmt::runtime(fmt::format("{{:{}}}", format)), fmt::gmtime(now));
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace

ResolvedRun resolve(const RunConfig& c, const comm::Communicator& communicator) {
  ResolvedRun r;
  if (c.run.backend == "cuda")
    user_error("run.backend = \"cuda\": this build trains on CPU ranks only: set run.backend = \"cpu\"");
  r.backend = "cpu";
  r.dtype = c.run.dtype != "auto" ? c.run.dtype : ops::has_bf16_hardware() ? "bf16" : "fp32";
  r.threads = c.run.threads > 0 ? c.run.threads : default_threads(this_machine(), communicator.local_size());
  r.directory = fill_in(c.run.directory, "{name}", c.run.name);
  r.directory = fill_in(r.directory, "{ranks}", std::to_string(communicator.size()));
  r.directory = fill_in(r.directory, "{time}", utc("%Y%m%d-%H%M%S"));
  return r;
}

runlog::RunInfo run_info(const RunConfig& c, const ResolvedRun& resolved, const model::ParameterTable& table,
                         comm::Communicator& communicator) {
  const Machine machine = this_machine();
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
  info.world_size = communicator.size();
  info.threads_per_rank = resolved.threads;
  info.global_batch = c.batch.global;
  info.parameters = table.count();
  info.backend = resolved.backend;
  info.transport = communicator.transport();
  info.dtype = resolved.dtype;
  info.device_name = machine.cpu;
  info.peak_flops_per_s = std::nan("");
  info.peak_source = "unknown: a CPU's datasheet peak is not one that it holds; see gemm_peak_flops_per_s";
  info.gemm_peak_flops_per_s =
      c.log.measure_gemm_peak ? measure_gemm_peak(resolved.dtype, resolved.threads).flops_per_s : std::nan("");
  info.library_versions = {{"oneDNN", ops::onednn_version() + " " + ops::onednn_isa()},
                           {"HDF5", hdf5_version()},
                           {"MPI", comm::mpi_version().library}};
  info.hostnames = communicator.all_gather(machine.host);
  info.start_time_utc = utc("%Y-%m-%dT%H:%M:%SZ");
  info.resumed_from = c.run.resume;
  return info;
}

}  // namespace gpumonth::trainer
