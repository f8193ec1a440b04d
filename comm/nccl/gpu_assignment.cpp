#include "comm/nccl/gpu_assignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "base/error.h"

namespace gpumonth::comm {
namespace {

using Gpu = std::pair<std::string, std::string>;  // host, uuid: a virtual machine may repeat a UUID

/// "0, 1, 2, ... (12 ranks)": the first few.
std::string list(const std::vector<int>& ranks) {
  std::string text;
  for (std::size_t i = 0; i < ranks.size() && i < 4; ++i) text += fmt::format("{}{}", i ? ", " : "", ranks[i]);
  return ranks.size() > 4 ? fmt::format("{}, ... ({} ranks)", text, ranks.size()) : text;
}

void check_all_have_one(const std::vector<RankGpu>& ranks) {
  std::vector<int> without;
  for (std::size_t r = 0; r < ranks.size(); ++r)
    if (!ranks[r].why_none.empty()) without.push_back(static_cast<int>(r));
  if (without.empty()) return;
  const RankGpu& first = ranks[without[0]];
  user_error("comm.transport = \"nccl\": rank {} on {}: {}; start every rank where it sees a GPU, or use \"auto\"",
             list(without), first.host, first.why_none);
}

void check_models(const std::vector<RankGpu>& ranks) {
  for (std::size_t r = 1; r < ranks.size(); ++r) {
    if (ranks[r].name == ranks[0].name) continue;
    user_error(
        "comm.transport = \"nccl\": rank 0 on {} has a {}, rank {} on {} a {}: the slower decides, so give "
        "all ranks one "
        "model (CUDA_VISIBLE_DEVICES, or other hosts)",
        ranks[0].host, ranks[0].name, r, ranks[r].host, ranks[r].name);
  }
}

std::map<Gpu, std::vector<int>> users(const std::vector<RankGpu>& ranks) {
  std::map<Gpu, std::vector<int>> users;
  for (std::size_t r = 0; r < ranks.size(); ++r) users[{ranks[r].host, ranks[r].uuid}].push_back(static_cast<int>(r));
  return users;
}

}  // namespace

std::string RankGpu::to_text() const { return fmt::format("{}\t{}\t{}\t{}\t{}", host, why_none, name, uuid, visible); }

RankGpu RankGpu::from_text(const std::string& text) {
  std::istringstream fields(text);
  RankGpu gpu;
  std::string count;
  for (std::string* field : {&gpu.host, &gpu.why_none, &gpu.name, &gpu.uuid, &count})
    std::getline(fields, *field, '\t');
  gpu.visible = count.empty() ? 0 : std::stoi(count);
  return gpu;
}

int choose_gpu(int local_rank, int visible) { return visible > 0 ? local_rank % visible : 0; }

bool shares_gpu(const std::vector<RankGpu>& ranks) {
  const auto all = users(ranks);
  return std::any_of(all.begin(), all.end(), [](const auto& gpu) { return gpu.second.size() > 1; });
}

void check_gpus(const std::vector<RankGpu>& ranks, bool allow_shared_gpu) {
  check_all_have_one(ranks);
  check_models(ranks);
  if (allow_shared_gpu) return;
  for (const auto& [gpu, sharing] : users(ranks)) {
    if (sharing.size() == 1) continue;
    const std::string& host = gpu.first;
    const auto on_host =
        std::count_if(ranks.begin(), ranks.end(), [&](const RankGpu& rank) { return rank.host == host; });
    int visible = 0;
    for (const RankGpu& rank : ranks)
      if (rank.host == host) visible = std::max(visible, rank.visible);
    if (visible > 1 && on_host > visible) {
      user_error(
          "comm.transport = \"nccl\": {} ranks on {}, which has {} GPUs: start at most one rank per GPU "
          "(mpirun -npernode {}), or for a test set comm.allow_shared_gpu = true",
          on_host, host, visible, visible);
    }
    user_error(
        "comm.transport = \"nccl\": ranks {} on {} use the same GPU ({}): start one rank per GPU and show "
        "each its own "
        "(CUDA_VISIBLE_DEVICES, srun --gpus-per-task=1), or for a test set comm.allow_shared_gpu = true",
        list(sharing), host, gpu.second);
  }
}

}  // namespace gpumonth::comm
