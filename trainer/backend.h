// Where a run computes: CPU threads or GPUs. backend.cpp decides, and makes the DiT there; of dit_step_cuda.cpp with
// gemm_peak_cuda.cpp and backend_stub.cpp one is built, with CUDA or without.
#pragma once

#include <memory>
#include <string>

#include "comm/transport.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/model.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

struct ResolvedRun;
struct RunConfig;

struct Backend {
  std::string name = "cpu";  ///< "cpu" or "cuda"
  int device = 0;            ///< cuda: this rank's GPU, as CUDA_VISIBLE_DEVICES numbers them
};

/// Not collective, but the same name on every rank: it follows from the transport, and for one rank from its
/// GPUs. asked: "auto", "cpu" or "cuda". auto takes GPUs with "nccl", which has found every rank
/// one, and for one rank where there is one. UserError: cuda asked for but not built, no GPU, several ranks
/// whose transport reaches host memory alone, CPU ranks over NCCL.
Backend choose_backend(const std::string& asked, const comm::Transport& over);

/// The DiT of `config` as a training step, weights initialised from the seed, or a teacher's where it is distilled
/// (state/teacher.h). Collective. UserError: it does not fit into the GPU's memory (bytes per part, and the batch per rank
/// that would fit); of the teacher.
std::unique_ptr<TrainingStep> make_dit_step(const RunConfig& config, const ResolvedRun& resolved,
                                            comm::Transport& transport);

/// The DiT alone on `backend`, parameters zero; setup.keep says which passes it is for. UserError as above.
std::unique_ptr<Model> make_dit_model(const std::string& backend, const DitSetup& setup,
                                      const model::ParameterTable& table);

}  // namespace gpumonth::trainer
