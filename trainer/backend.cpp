#include "trainer/backend.h"

#include "base/error.h"
#include "comm/cuda_devices.h"

namespace gpumonth::trainer {

Backend choose_backend(const std::string& asked, const comm::Transport& over) {
  const std::string& transport = over.name();
  if (asked == "cpu") {
    if (transport == "nccl")
      user_error(
          "run.backend = \"cpu\" with comm.transport = \"nccl\", which sums GPU memory: set comm.transport = "
          "\"mpi\"");
    return {"cpu", 0};
  }
  if (transport == "nccl") return {"cuda", over.gpu()};
  const comm::CudaDevices found = comm::cuda_devices();
  if (asked == "auto") return {!found.devices.empty() && over.ranks().size() == 1 ? "cuda" : "cpu", 0};
  if (found.devices.empty()) user_error("run.backend = \"cuda\": {}; set run.backend = \"cpu\"", found.why_none);
  if (over.ranks().size() > 1)
    user_error(
        "run.backend = \"cuda\": {} ranks over comm.transport = \"{}\", which sums host memory: set "
        "comm.transport = "
        "\"nccl\"",
        over.ranks().size(), transport);
  return {"cuda", 0};
}

std::unique_ptr<Step> make_dit_step(const std::string& backend, const StepSetup& setup,
                                    const model::ParameterTable& table) {
  return backend == "cuda" ? make_cuda_dit_step(setup, table) : make_cpu_dit_step(setup, table);
}

}  // namespace gpumonth::trainer
