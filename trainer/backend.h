// Where a run computes: CPU threads or GPUs. backend.cpp decides; of dit_step_cuda.cpp with
// gemm_peak_cuda.cpp and backend_stub.cpp one is built, with CUDA or without.
#pragma once

#include <memory>
#include <string>

#include "comm/transport.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

struct Backend {
  std::string name = "cpu";  ///< "cpu" or "cuda"
  int device = 0;            ///< cuda: this rank's GPU, as CUDA_VISIBLE_DEVICES numbers them
};

/// Not collective, but the same name on every rank: it follows from the transport, and for one rank from its
/// GPUs. asked: "auto", "cpu" or "cuda". auto takes GPUs with "nccl", which has found every rank
/// one, and for one rank where there is one. UserError: cuda asked for but not built, no GPU, several ranks
/// whose transport reaches host memory alone, CPU ranks over NCCL.
Backend choose_backend(const std::string& asked, const comm::Transport& over);

/// The DiT on `backend`, weights initialised from the seed. Collective over setup.transport. With "cuda"
/// setup.gradients may be host memory or null where there is one rank: the step then has a gradient buffer of
/// its own, which gradients() reads. UserError: it does not fit into the GPU's memory (bytes per part, and
/// the batch per rank that would fit).
std::unique_ptr<Step> make_dit_step(const std::string& backend, const StepSetup& setup,
                                    const model::ParameterTable& table);

/// What make_dit_step calls for "cuda".
std::unique_ptr<Step> make_cuda_dit_step(const StepSetup& setup, const model::ParameterTable& table);

}  // namespace gpumonth::trainer
