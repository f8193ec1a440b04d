#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/error.h"
#include "model/memory.h"
#include "trainer/dit/dit_step.h"
#include "trainer/ops/cuda/context.h"

namespace gpumonth::trainer {
namespace {

using model::Use;

bool on_gpu(const void* memory) {
  cudaPointerAttributes attributes{};
  if (!memory || cudaPointerGetAttributes(&attributes, memory) != cudaSuccess) {
    (void)cudaGetLastError();
    return false;
  }
  return attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged;
}

/// A GPU's state is its own: ranks that share host memory do not share it. Gradients come from Transport::allocate;
/// where that gives host memory ("self"), one rank keeps its own on the GPU: there is nobody to reduce them with.
DitSetup of_one_gpu(DitSetup setup) {
  setup.transport = nullptr;
  if (!on_gpu(setup.gradients.get())) setup.gradients = nullptr;
  return setup;
}

template <class T>
class CudaDitStep final : public DitStep<ops::Cuda, T> {
 public:
  CudaDitStep(const ops::Cuda& device, const DitSetup& setup, const model::ParameterTable& table)
      : DitStep<ops::Cuda, T>(device, setup, table) {}
  void* stream() override { return ops::stream_of(this->model().device()); }
};

/// What model/memory.h lists with micro-batches of `batch` samples, and the batch.
std::vector<model::MemoryPart> memory_of(const DitSetup& setup, Use use, std::int64_t batch) {
  const model::ModelConfig& m = setup.model;
  const model::Dtype dtype = model::dtype_named(setup.dtype);
  const std::int64_t all = batch * setup.accumulate;
  auto parts = model::memory_parts(m, all, dtype,
                                   {.packed = false,
                                    .shard_ranks = setup.full ? setup.full->layout.ranks() : 1,
                                    .sequence_ranks = setup.sequence.ranks,
                                    .recompute = recompute_of(setup.keep),
                                    .accumulate = setup.accumulate,
                                    .use = use});
  const std::int64_t share = setup.sequence.ranks;
  parts.push_back({model::MemoryKind::activations, "x_0, noise, x_t", (2 * all + batch) * m.latent_size() / share * 4});
  if (!setup.consistency) return parts;
  const auto teacher = model::memory_parts(m, batch, dtype, {.packed = false, .use = Use::forward});
  parts.insert(parts.end(), teacher.begin(), teacher.end());
  return parts;
}

/// The largest micro-batch whose parts fit, 0 where none does; that of `setup` is known not to.
std::int64_t fitting_batch(const DitSetup& setup, Use use, std::int64_t bytes) {
  std::int64_t fits = 0, too_much = setup.micro_batch();
  while (too_much - fits > 1) {
    const std::int64_t middle = fits + (too_much - fits) / 2;
    (sum(memory_of(setup, use, middle)) <= bytes ? fits : too_much) = middle;
  }
  return fits;
}

/// The fewest micro-batches, more than those of `setup`, whose parts fit; 0 where no number of them does.
std::int64_t fitting_micro_batches(DitSetup setup, std::int64_t bytes) {
  while (++setup.accumulate <= setup.local_batch)
    if (setup.local_batch % setup.accumulate == 0 && sum(memory_of(setup, Use::training, setup.micro_batch())) <= bytes)
      return setup.accumulate;
  return 0;
}

std::string advice(const DitSetup& setup, Use use, std::int64_t bytes) {
  const std::int64_t fits = fitting_batch(setup, use, bytes);
  if (use != Use::training)
    return fits > 0 ? fmt::format("about {} samples fit", fits)
                    : "not one sample fits: take a smaller model or a GPU with more memory";
  const std::int64_t ranks = setup.global_batch / std::max<std::int64_t>(setup.local_batch, 1);
  const std::int64_t all = fits * setup.accumulate;
  std::string text = fits > 0 ? fmt::format("about {} samples per rank fit: set batch.global = {}", all, all * ranks)
                              : "not one sample per rank fits: take a smaller model or a GPU with more memory";
  if (const std::int64_t micro_batches = fitting_micro_batches(setup, bytes); micro_batches > 0)
    text += fmt::format(", or batch.accumulate = {}, which holds activations of fewer", micro_batches);
  if (setup.keep == Keep::activations || setup.keep == Keep::attention)
    text += fmt::format(", or run.recompute = \"{}\", which keeps fewer activations",
                        setup.keep == Keep::activations ? "linear" : "full");
  return text;
}

std::string gib(std::int64_t bytes) { return fmt::format("{:.2f}", static_cast<double>(bytes) / (1 << 30)); }

/// One line: what it needs, part by part, what is free, which batch fits.
[[noreturn]] void refuse(const DitSetup& setup, const model::ParameterTable& table, Use use) {
  std::size_t free = 0, total = 0;
  (void)cudaMemGetInfo(&free, &total);
  cudaDeviceProp properties{};
  (void)cudaGetDeviceProperties(&properties, setup.device);
  (void)cudaGetLastError();
  const auto parts = memory_of(setup, use, setup.local_batch);
  std::string list;
  using model::MemoryKind;
  for (const MemoryKind kind : {MemoryKind::weights, MemoryKind::packed_weights, MemoryKind::gradients,
                                MemoryKind::optimizer, MemoryKind::ema, MemoryKind::activations}) {
    const std::int64_t bytes = sum(parts, kind);
    if (bytes > 0) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", model::name(kind), gib(bytes));
  }
  // What the communicator has taken for the gradients is among the parts. Workspaces and rounding take some more.
  const std::int64_t here =
      static_cast<std::int64_t>(free) + (on_gpu(setup.gradients.get()) ? table.flat_size() * 4 : 0);
  const std::int64_t usable = static_cast<std::int64_t>(0.97 * static_cast<double>(here)) - (std::int64_t{256} << 20);
  user_error("{} samples {}do not fit on GPU {} ({}): they need {} GiB ({}), and {} of {} GiB are free; {}",
             setup.local_batch, use == Use::training ? "per rank " : "", setup.device, properties.name, gib(sum(parts)),
             list, gib(here), gib(static_cast<std::int64_t>(total)), advice(setup, use, usable));
}

ops::Cuda open_device(const DitSetup& setup) {
  const ops::Cuda device{std::make_shared<ops::CudaContext>(setup.device, setup.deterministic)};
  device.context->use_graphs = setup.graphs;
  return device;
}

/// `make(device)`, or what is wrong where the memory is not enough.
template <class F>
auto made_or_refused(const DitSetup& setup, const model::ParameterTable& table, Use use, F&& make) {
  try {
    return make(open_device(setup));
  } catch (const ops::CudaOutOfMemory&) {  // what was half made is gone here, and its memory free again
  }
  refuse(setup, table, use);
}

}  // namespace

std::unique_ptr<Model> make_cuda_dit_model(const DitSetup& setup, const model::ParameterTable& table) {
  const Use use = setup.keep == Keep::nothing ? Use::forward : Use::backward;
  return made_or_refused(setup, table, use, [&](const ops::Cuda& device) -> std::unique_ptr<Model> {
    const DitSetup own = of_one_gpu(setup);
    if (setup.dtype == "bf16") return std::make_unique<DitModel<ops::Cuda, ops::bf16>>(device, own, table);
    return std::make_unique<DitModel<ops::Cuda, float>>(device, own, table);
  });
}

std::unique_ptr<TrainingStep> make_cuda_dit_step(const DitSetup& setup, const model::ParameterTable& table) {
  if (setup.transport && setup.transport->ranks().size() > 1 && !on_gpu(setup.gradients.get()))
    throw std::logic_error("several GPU ranks with gradients in host memory: choose_backend() refuses that");
  return made_or_refused(setup, table, Use::training, [&](const ops::Cuda& device) -> std::unique_ptr<TrainingStep> {
    const DitSetup own = of_one_gpu(with_exchange(setup, ops::stream_of(device)));
    if (setup.dtype == "bf16") return std::make_unique<CudaDitStep<ops::bf16>>(device, own, table);
    return std::make_unique<CudaDitStep<float>>(device, own, table);
  });
}

}  // namespace gpumonth::trainer
