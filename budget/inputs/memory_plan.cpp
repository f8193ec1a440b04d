#include "budget/inputs/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "model/memory.h"
#include "model/sequence_ranks.h"

namespace gpumonth::budget {
namespace {

constexpr std::array kSharding = {"none", "optimizer", "full"};
constexpr std::array kRecompute = {"none", "linear", "full"};
constexpr int kNodeGpus = 8, kMostReplicaGpus = 64;  // within a node splitting the tokens costs next to nothing

std::size_t level(const std::array<const char*, 3>& levels, const std::string& name) {
  return static_cast<std::size_t>(std::find(levels.begin(), levels.end(), name) - levels.begin());
}

/// Another plan that may fit, or nothing where a change is not one: fewer options, the same ones.
MemoryPlan changed(MemoryPlan plan, std::size_t sharding, std::size_t recompute, int batch, int replica_gpus) {
  plan.sharding = kSharding[sharding];
  plan.recompute = kRecompute[recompute];
  plan.batch_per_replica = batch;
  plan.replica_gpus = replica_gpus;
  return plan;
}

/// The first that needs at most `room`: more sharding, then more recompute, smaller batches, more GPUs per replica.
std::optional<MemoryPlan> nearest_plan(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus,
                                       double room, std::size_t most_recompute, int most_gpus) {
  const std::size_t first_level = plan.sharding == "auto" ? 0 : level(kSharding, plan.sharding);
  for (int replica = plan.replica_gpus; replica <= most_gpus; replica *= 2) {
    if (gpus % replica != 0 || (replica != plan.replica_gpus && model::why_not_shared(model, replica))) continue;
    for (int batch = plan.batch_per_replica; batch >= 1; batch /= 2)
      for (std::size_t recompute = level(kRecompute, plan.recompute); recompute <= most_recompute; ++recompute)
        for (std::size_t sharding = first_level; sharding < kSharding.size(); ++sharding) {
          const MemoryPlan next = changed(plan, sharding, recompute, batch, replica);
          if (memory_need(model, next, gpus).total() <= room) return next;
        }
  }
  return std::nullopt;
}

}  // namespace

bool recomputes(const MemoryPlan& plan) { return plan.recompute != "none"; }

bool keeps_attention(const MemoryPlan& plan) { return plan.recompute == "linear"; }

std::string describe(const MemoryPlan& plan) {
  std::string text = plan.sharding == "none" ? "no sharding" : plan.sharding + " sharding";
  if (recomputes(plan)) text += keeps_attention(plan) ? ", recompute of linear layers" : ", recompute";
  return text + fmt::format(", {} sample{} per {}", plan.batch_per_replica, plan.batch_per_replica == 1 ? "" : "s",
                            plan.replica_gpus == 1 ? "GPU" : fmt::format("{} GPUs", plan.replica_gpus));
}

model::TrainingLayout training_layout(const MemoryPlan& plan, std::int64_t gpus) {
  return {.ranks = gpus,
          .sharding = model::sharding_named(plan.sharding),
          .sequence_ranks = plan.replica_gpus,
          .gpu = true,
          .recompute = model::recompute_named(plan.recompute)};
}

MemoryNeed memory_need(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus) {
  const auto parts = model::memory_parts(model, plan.batch_per_replica, model::Dtype::bf16,
                                         model::memory_layout(training_layout(plan, gpus)));
  const auto activations = static_cast<double>(sum(parts, model::MemoryKind::activations));
  return {static_cast<double>(sum(parts)) - activations, activations};
}

std::vector<model::SentPart> sent_parts(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus) {
  return model::sent_parts(model, plan.batch_per_replica, model::Dtype::bf16, training_layout(plan, gpus));
}

std::optional<MemoryPlan> fitting_plan(const model::ModelConfig& model, const MemoryPlan& plan, std::int64_t gpus,
                                       double bytes) {
  const double room = bytes * (1 - plan.memory_reserve);
  const std::size_t asked = level(kRecompute, plan.recompute), linear = level(kRecompute, "linear"),
                    full = level(kRecompute, "full");
  const auto by = [&](std::size_t most_recompute, int most_gpus) {
    return nearest_plan(model, plan, gpus, room, std::max(asked, most_recompute),
                        std::max(most_gpus, plan.replica_gpus));
  };
  if (auto cheap = by(linear, kNodeGpus)) return cheap;
  return by(full, kMostReplicaGpus);
}

}  // namespace gpumonth::budget
