// Which GPU belongs to which rank, and what of that is a mistake. No CUDA here: it is decided from what every
// rank says of itself, so all ranks come to the same answer.
#pragma once

#include <string>
#include <vector>

namespace gpumonth::comm {

/// One rank as all ranks see it.
struct RankGpu {
  std::string host;
  std::string why_none;  ///< one line where the rank has no GPU
  std::string name;      ///< "NVIDIA H100 80GB HBM3"
  std::string uuid;      ///< of the GPU that it uses, "GPU-5b6c..."
  int visible = 0;       ///< GPUs that this rank sees

  std::string to_text() const;  ///< for all_gather(); fields hold no tab
  static RankGpu from_text(const std::string& text);
};

/// The device of a rank among `visible` ones: its local rank, and where the launcher shows each rank a single
/// GPU (srun --gpus-per-task=1), that.
int choose_gpu(int local_rank, int visible);

/// Throws UserError, one line that says what to do: a rank without a GPU, ranks on different GPU models, more
/// ranks than GPUs on a host, two ranks on one GPU. The last two are allowed with `allow_shared_gpu`.
void check_gpus(const std::vector<RankGpu>& ranks, bool allow_shared_gpu);

/// Whether two ranks of one host use the same GPU.
bool shares_gpu(const std::vector<RankGpu>& ranks);

}  // namespace gpumonth::comm
