#include "trainer/backend.h"

#include <algorithm>
#include <new>

#include "base/error.h"
#include "machine/cuda_devices.h"
#include "model/training_layout.h"
#include "trainer/resolved_run.h"
#include "trainer/run_config.h"
#include "trainer/state/teacher.h"

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
  const machine::CudaDevices found = machine::cuda_devices();
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

namespace {

std::unique_ptr<TrainingStep> make_step(const RunConfig& config, const ResolvedRun& resolved,
                                        comm::Transport& transport) {
  const model::ParameterTable table(config.model);
  const int sharing = config.run.sequence_parallel, emulated = config.run.sequence_parallel_emulated;
  const bool sharded = config.comm.sharding == "full" && transport.ranks().size() > 1;
  const auto full = sharded ? make_full_sharding(config.model, table, transport, config.comm.shard_group,
                                                 resolved.backend == "cuda" && resolved.dtype == "bf16")
                            : nullptr;
  const DitSetup setup{.model = config.model,
                       .local_batch = local_batch(config, transport.ranks().size()),
                       .global_batch = config.batch.global,
                       .seed = config.run.seed,
                       .dtype = resolved.dtype,
                       .threads = resolved.threads,
                       .gradients = transport.allocate(full ? full->layout.storage_size() : table.flat_size()),
                       .transport = &transport,
                       .keep = keep_for(model::recompute_named(config.run.recompute)),
                       .device = resolved.device,
                       .deterministic = config.run.deterministic,
                       .accumulate = config.batch.accumulate,
                       .noise_scale = config.log.noise_scale,
                       .sequence = {.ranks = std::max(sharing, emulated),
                                    .rank = transport.ranks().rank() % sharing,
                                    .alone = emulated > 1},
                       .consistency = read_teacher(config, table),
                       .full = full};
  return resolved.backend == "cuda" ? make_cuda_dit_step(setup, table) : make_cpu_dit_step(setup, table);
}

}  // namespace

std::unique_ptr<TrainingStep> make_dit_step(const RunConfig& config, const ResolvedRun& resolved,
                                            comm::Transport& transport) {
  try {
    return make_step(config, resolved, transport);
  } catch (const std::bad_alloc&) {
    const comm::Communicator& ranks = transport.ranks();
    const model::TrainingLayout layout =
        training_layout(config, ranks.size(), ranks.local_size(), resolved.backend == "cuda");
    const auto parts = model::memory_parts(config.model, local_batch(config, ranks.size()),
                                           model::dtype_named(resolved.dtype), memory_layout(layout));
    user_error(
        "the training does not fit in this process's memory: a rank needs {:.2f} GiB of it; {}, or take a smaller model or "
        "batch.global (gpumonth flops says what takes how much)",
        static_cast<double>(sum(parts)) / (1 << 30),
        layout.sharding == model::Sharding::full ? "start more ranks"
                                                 : "let more ranks share it with comm.sharding = \"full\"");
  }
}

std::unique_ptr<Model> make_dit_model(const std::string& backend, const DitSetup& setup,
                                      const model::ParameterTable& table) {
  return backend == "cuda" ? make_cuda_dit_model(setup, table) : make_cpu_dit_model(setup, table);
}

}  // namespace gpumonth::trainer
