#include <fmt/format.h>

#include "base/error.h"
#include "trainer/ops/cuda/context.h"
#include "trainer/replay/replayed_step_impl.h"

namespace gpumonth::trainer {
namespace {

class CudaReplayedStep final : public DeviceReplayedStep<ops::Cuda> {
 public:
  using DeviceReplayedStep::DeviceReplayedStep;
  void* stream() override { return ops::stream_of(device_); }
};

double gib(double bytes) { return bytes / (1 << 30); }

[[noreturn]] void refuse_size(const ReplaySetup& setup, int gpu, int ranks) {
  double values = 0;
  for (const comm::Segment& s : setup.recording.segments) values += static_cast<double>(s.count);
  std::size_t free = 0, total = 0;
  (void)cudaMemGetInfo(&free, &total);
  cudaDeviceProp properties{};
  (void)cudaGetDeviceProperties(&properties, gpu);
  (void)cudaGetLastError();
  const bool in_shards = replay::changed(setup.recording.config, setup.changes).shard_ranks(ranks) > 1;
  user_error(
      "{} do not fit on GPU {} ({}): {:.3f} of {:.3f} GiB are free; end what else runs there, send "
      "fewer bytes with --byte-scale, or take a GPU with more memory",
      in_shards ? "shards, and room for two blocks' weights and gradients,"
                : fmt::format("the gradients, {:.3f} GiB,", gib(4 * setup.changes.byte_scale * values)),
      gpu, properties.name, gib(static_cast<double>(free)), gib(static_cast<double>(total)));
}

}  // namespace

std::unique_ptr<ReplayedStep> make_cuda_replayed_step(const ReplaySetup& setup, comm::Transport& transport) {
  const int gpu = transport.gpu();
  try {
    return std::make_unique<CudaReplayedStep>(ops::Cuda{std::make_shared<ops::CudaContext>(gpu, false)}, setup,
                                              transport);
  } catch (const ops::CudaOutOfMemory&) {  // what was half made is gone here
  }
  refuse_size(setup, gpu, transport.ranks().size());
}

}  // namespace gpumonth::trainer
