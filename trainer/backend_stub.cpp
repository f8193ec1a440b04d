// Built without CUDA: choose_backend() refuses "cuda" before any of this is called.
#include <stdexcept>

#include "base/error.h"
#include "machine/cuda_devices.h"
#include "trainer/dit/dit_setup.h"
#include "trainer/gemm_peak.h"
#include "trainer/model.h"
#include "trainer/replay/replayed_step.h"
#include "trainer/step.h"

namespace gpumonth::trainer {

std::unique_ptr<TrainingStep> make_cuda_dit_step(const DitSetup&, const model::ParameterTable&) {
  user_error("run.backend = \"cuda\": {}; set run.backend = \"cpu\"", machine::cuda_devices().why_none);
}

std::unique_ptr<Model> make_cuda_dit_model(const DitSetup&, const model::ParameterTable&) {
  throw std::logic_error("make_cuda_dit_model() in a build without CUDA");
}

std::unique_ptr<ReplayedStep> make_cuda_replayed_step(const ReplaySetup&, comm::Transport&) {
  throw std::logic_error("make_cuda_replayed_step() in a build without CUDA");
}

GemmPeak measure_gpu_gemm_peak(const std::string&, int) {
  throw std::logic_error("measure_gpu_gemm_peak() in a build without CUDA");
}

std::vector<std::string> gpu_mlp_choices(int) { throw std::logic_error("gpu_mlp_choices() in a build without CUDA"); }

double measure_gpu_copy_bandwidth(int) {
  throw std::logic_error("measure_gpu_copy_bandwidth() in a build without CUDA");
}

}  // namespace gpumonth::trainer
