// The training on N GPUs, number by number.
#include <fmt/format.h>

#include "budget/formulas/quantities.h"
#include "budget/plan/training_plan.h"
#include "budget/plan/transfer.h"
#include "budget/results/lines.h"

namespace gpumonth::budget {
namespace {

constexpr double kGigabyte = 1e9;

void add_memory(const Scenario& s, const TrainingPlan& training, Group& group) {
  if (!training.memory) return;
  const auto gigabytes = [&](double bytes, const char* formula) {
    return (s.at("model") * exactly(bytes / kGigabyte)).as("GB", formula);
  };
  group.lines.push_back({"state_gb", "memory per GPU: parameters, gradients, moments, EMA",
                         gigabytes(training.memory->state_bytes, "model/memory.h by sharding")});
  group.lines.push_back({"activations_gb", "  activations",
                         gigabytes(training.memory->activation_bytes, "model/memory.h by GPUs per replica")});
  Number room = exactly(s.hardware.memory_gb * (1 - training.plan.memory_reserve), "GB");
  room.formula = "memory x (1 - plan.memory_reserve)";
  room.tag = s.at("hardware.peak_flops_per_s").tag;
  group.lines.push_back({"memory_gb", "  room for them", room});
  if (training.sent.empty()) return;
  group.lines.push_back({"sent_gb", "sent by a GPU in a step",
                         gigabytes(static_cast<double>(sum(training.sent)), "model/communication.h")});
  if (const std::int64_t exchanged = sum(training.sent, model::SentKind::exchanged); exchanged > 0)
    group.lines.push_back({"exchanged_gb", "  of that among the GPUs of a replica",
                           gigabytes(static_cast<double>(exchanged), "model/communication.h")});
}

Number transfer_provenance(const Scenario& s, const TrainingPlan& training) {
  if (s.has("scaling.transfer")) return s.at("scaling.transfer");
  Number from = exactly(1);
  from.tag = Tag::assumed;
  from.inputs = {draws_transfer(s, training.basis) ? kTransferInput : kScalingCarriedOver};
  return from;
}

/// What large runs have published of their effective time, which the plan's should meet. Only compared with.
void add_published_time(const Scenario& s, Group& group) {
  if (!s.has_all({"goodput.effective_time", "goodput.effective_time_gpus"})) return;
  group.lines.push_back(
      {"published_effective_time",
       fmt::format("  published runs on {} GPUs", range_text(s.at("goodput.effective_time_gpus"), grouped)),
       s.at("goodput.effective_time").as("1", "goodput.effective_time")});
}

void add_failures(const Scenario& s, const TrainingPlan& training, Group& group) {
  const Outcome& out = training.outcome;
  if (out.goodput.size() == 0) return;
  const Number rate = s.at("goodput.failure_rate");
  if (!out.mtbf_s.isInf().all()) {
    group.lines.push_back(
        {"mtbf_h", "time between failures", drawn(out.mtbf_s / 3600, rate, "h", "1 / (failure rate x GPUs)")});
    group.lines.push_back({"checkpoint_interval_min", "time between checkpoints",
                           drawn(out.interval_s / 60, rate * s.at("goodput.checkpoint"), "min", "Daly 2006")});
  }
  group.lines.push_back({"goodput", "share of the time that goes forward",
                         drawn(out.goodput, rate * s.at("goodput.checkpoint") * s.at("goodput.restart"), "1",
                               "Daly 2006 x (1 - other stops)")});
  add_published_time(s, group);
}

}  // namespace

Group plan_group(const Scenario& s, const std::vector<Rung>& rungs, const TrainingPlan* training) {
  if (training == nullptr) return {};
  const Outcome& out = training->outcome;
  Group group{
      .id = "plan", .title = fmt::format("On {} GPUs: {}", training->gpus, describe(training->plan)), .lines = {}};
  const Number gpus = s.at("cost.gpus");
  Number batch = gpus.as("sample", "replicas x plan.batch_per_replica");
  batch.low = batch.high = training->simulation.global_batch();
  group.lines.push_back({"global_batch", "batch of a step", batch});
  if (const char* key = critical_batch_key(s); key != nullptr && training->simulation.has_scaling())
    group.lines.push_back({"samples_factor", "samples needed against a small batch",
                           drawn(out.samples_factor, gpus * s.at(key), "1", "McCandlish et al. 2018")});
  add_memory(s, *training, group);
  if (const Rung* scaling = find(rungs, RungId::scaling); scaling != nullptr && training->basis != nullptr)
    group.lines.push_back({"efficiency", fmt::format("efficiency against {} GPUs", training->basis->reference),
                           drawn(out.efficiency, scaling->factor, "1", "throughput per GPU, from the fit")});
  if (out.transfer.size() > 0)
    group.lines.push_back({"scaling_transfer", "  of the loss on the curve or of the runs, lost here",
                           drawn(out.transfer, transfer_provenance(s, *training), "1",
                                 "parameters per FLOP of a GPU's step, or scaling.transfer")});
  if (training->simulation.has_imbalance())
    group.lines.push_back({"imbalance", "  waiting for replicas with more work, over a step",
                           s.at("plan.imbalance").as("1", "plan.imbalance")});
  add_failures(s, *training, group);
  return group;
}

}  // namespace gpumonth::budget
