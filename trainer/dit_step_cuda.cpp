#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/error.h"
#include "model/memory.h"
#include "trainer/backend.h"
#include "trainer/dit_step.h"
#include "trainer/init.h"
#include "trainer/ops/cuda_context.h"

namespace gpumonth::trainer {
namespace {

/// Gradients come from Communicator::allocate. Where that gives host memory ("self"), one rank keeps its own
/// on the GPU; there is nobody to reduce them with.
bool on_gpu(const void* memory) {
  cudaPointerAttributes attributes{};
  if (!memory || cudaPointerGetAttributes(&attributes, memory) != cudaSuccess) {
    (void)cudaGetLastError();
    return false;
  }
  return attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
}

/// A GPU's state is its own: ranks that share host memory do not share it.
StepSetup own_state(StepSetup setup) {
  setup.transport = nullptr;
  return setup;
}

template <class T>
class CudaDitStep final : public DitStep<ops::Cuda, T> {
  using Base = DitStep<ops::Cuda, T>;

 public:
  CudaDitStep(const ops::Cuda& device, const StepSetup& setup, const model::ParameterTable& table)
      : Base(device, own_state(setup), table) {
    if (!on_gpu(setup.gradients)) {
      own_gradients_ = ops::Buffer<ops::Cuda, float>(this->device_, this->flat_size_);
      this->setup_.gradients = own_gradients_.get();
    }
    std::vector<float> initial(static_cast<std::size_t>(this->flat_size_));
    ops::Cpu cpu{setup.threads};
    initialize_parameters(cpu, table, setup.seed, initial.data());
    this->state_.set_parameters(initial.data());
    this->state_.begin_ema();
    this->state_changed();
  }
  void* stream() override { return ops::stream_of(this->device_); }

 private:
  ops::Buffer<ops::Cuda, float> own_gradients_;
};

/// What model/memory.h lists, and the batch.
std::vector<model::MemoryPart> memory_of(const StepSetup& setup, std::int64_t batch) {
  const model::ModelConfig& m = setup.model;
  const model::Dtype dtype = setup.dtype == "bf16" ? model::Dtype::bf16 : model::Dtype::fp32;
  auto parts = model::memory_parts(m, batch, dtype, {.packed = false, .recompute = setup.recompute});
  parts.push_back({model::MemoryKind::activations, "x_0, noise, x_t", batch * m.latent_size() * 3 * 4});
  return parts;
}

/// The largest batch whose parts fit, 0 where none does; `most` is known not to.
std::int64_t fitting_batch(const StepSetup& setup, std::int64_t most, std::int64_t bytes) {
  std::int64_t fits = 0, too_much = most;
  while (too_much - fits > 1) {
    const std::int64_t middle = fits + (too_much - fits) / 2;
    (sum(memory_of(setup, middle)) <= bytes ? fits : too_much) = middle;
  }
  return fits;
}

std::string gib(std::int64_t bytes) { return fmt::format("{:.2f}", static_cast<double>(bytes) / (1 << 30)); }

/// One line: what it needs, part by part, what is free, which batch fits.
[[noreturn]] void refuse(const StepSetup& setup, const model::ParameterTable& table) {
  std::size_t free = 0, total = 0;
  (void)cudaMemGetInfo(&free, &total);
  cudaDeviceProp properties{};
  (void)cudaGetDeviceProperties(&properties, setup.device);
  (void)cudaGetLastError();
  const auto parts = memory_of(setup, setup.local_batch);
  std::string list;
  using model::MemoryKind;
  for (const MemoryKind kind : {MemoryKind::weights, MemoryKind::packed_weights, MemoryKind::gradients,
                                MemoryKind::optimizer, MemoryKind::ema, MemoryKind::activations}) {
    const std::int64_t bytes = sum(parts, kind);
    if (bytes > 0) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", model::name(kind), gib(bytes));
  }
  // What the communicator has taken for the gradients is among the parts. Workspaces and rounding take some more.
  const std::int64_t here = static_cast<std::int64_t>(free) + (on_gpu(setup.gradients) ? table.flat_size() * 4 : 0);
  const std::int64_t usable = static_cast<std::int64_t>(0.97 * static_cast<double>(here)) - (std::int64_t{256} << 20);
  const std::int64_t fits = fitting_batch(setup, setup.local_batch, usable);
  const std::int64_t ranks = setup.global_batch / std::max<std::int64_t>(setup.local_batch, 1);
  std::string advice = fits > 0
                           ? fmt::format("about {} samples per rank fit: set batch.global = {}", fits, fits * ranks)
                           : "not one sample per rank fits: take a smaller model or a GPU with more memory";
  if (!setup.recompute) advice += ", or run.recompute = true, which keeps fewer activations";
  user_error("{} samples per rank do not fit on GPU {} ({}): they need {} GiB ({}), and {} of {} GiB are free; {}",
             setup.local_batch, setup.device, properties.name, gib(sum(parts)), list, gib(here),
             gib(static_cast<std::int64_t>(total)), advice);
}

std::unique_ptr<Step> make(const StepSetup& setup, const model::ParameterTable& table) {
  const ops::Cuda device{std::make_shared<ops::CudaContext>(setup.device, setup.deterministic)};
  device.context->use_graphs = setup.graphs;
  if (setup.dtype == "bf16") return std::make_unique<CudaDitStep<ops::bf16>>(device, setup, table);
  return std::make_unique<CudaDitStep<float>>(device, setup, table);
}

}  // namespace

std::unique_ptr<Step> make_cuda_dit_step(const StepSetup& setup, const model::ParameterTable& table) {
  if (setup.transport && setup.transport->ranks().size() > 1 && !on_gpu(setup.gradients))
    throw std::logic_error("several GPU ranks with gradients in host memory: choose_backend() refuses that");
  try {
    return make(setup, table);
  } catch (const ops::CudaOutOfMemory&) {  // the half-made step is gone here, and its memory free again
  }
  refuse(setup, table);
}

}  // namespace gpumonth::trainer
