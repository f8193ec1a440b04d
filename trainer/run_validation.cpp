#include "trainer/run_validation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "model/sequence_ranks.h"

namespace gpumonth::trainer {
namespace {

void validate_objective(const RunConfig::Objective& o) {
  if (o.distils() && o.teacher.empty())
    user_error(
        "objective.kind = \"consistency\" needs a trained network to learn from: set objective.teacher = a checkpoint of "
        "gpumonth train");
  if (!o.distils() && !o.teacher.empty())
    user_error(
        "objective.teacher = {} has no part in objective.kind = \"{}\": set objective.kind = \"consistency\", or leave the "
        "teacher out",
        o.teacher, o.kind);
}

/// `c.run.sequence_parallel` ranks can share samples, or one work as if they did.
void validate_sequence(const RunConfig& c, int world_size) {
  const int shared = c.run.sequence_parallel, emulated = c.run.sequence_parallel_emulated;
  if (shared == 1 && emulated == 1) return;
  if (shared > 1 && emulated > 1)
    user_error(
        "run.sequence_parallel = {} and run.sequence_parallel_emulated = {}: the one shares samples, the other measures a "
        "rank that would: set one of them to 1",
        shared, emulated);
  const char* const key = shared > 1 ? "run.sequence_parallel" : "run.sequence_parallel_emulated";
  if (const auto why_not = model::why_not_shared(c.model, std::max(shared, emulated)))
    user_error("{} = {}: {}", key, std::max(shared, emulated), *why_not);
  if (emulated > 1 && world_size > 1)
    user_error("{} = {} measures one rank, alone: start one, not {}, or set run.sequence_parallel", key, emulated,
               world_size);
  if (world_size % shared != 0)
    user_error("{} = {} does not divide {} rank{}: start a multiple of {}, or set {} = 1", key, shared, world_size,
               world_size == 1 ? "" : "s", shared, key);
  if (c.objective.distils())
    user_error("{} = {} with objective.kind = \"consistency\": a distillation's samples are not shared: set {} = 1",
               key, std::max(shared, emulated), key);
  if (c.log.noise_scale)
    user_error(
        "{} = {} with log.noise_scale = true: the gradients of parts of a sample are not those of smaller batches: set "
        "log.noise_scale = false",
        key, std::max(shared, emulated));
}

/// Every rank, or group of ranks that share samples, has the same number of micro-batches of the same size.
void validate_batch(const RunConfig& c, int world_size) {
  const RunConfig::Batch& batch = c.batch;
  const int shared = c.run.sequence_parallel, groups = world_size / shared;
  const std::string who = fmt::format("{} {}{}{}", groups, shared > 1 ? "group" : "rank", groups == 1 ? "" : "s",
                                      shared > 1 ? fmt::format(" of {} ranks", shared) : "");
  const auto suggestion = [&](std::int64_t parts) { return (batch.global / parts + 1) * parts; };
  if (batch.global % groups != 0)
    user_error("batch.global = {} is not divisible by {}: use a multiple of {}, e.g. --set batch.global={}",
               batch.global, who, groups, suggestion(groups));
  const std::int64_t parts = groups * batch.accumulate;
  if (batch.global % parts != 0)
    user_error(
        "batch.global = {} is not divisible by {} x batch.accumulate = {} micro-batches: use a multiple of {}, "
        "e.g. --set batch.global={}, or other micro-batches",
        batch.global, who, batch.accumulate, parts, suggestion(parts));
}

void validate_schedule(const RunConfig& c) {
  const RunConfig::Optimizer& o = c.optimizer;
  if (o.schedule != "wsd") return;
  if (o.decay_steps == 0)
    user_error(
        "optimizer.schedule = \"wsd\" with optimizer.decay_steps = 0 never falls: set optimizer.decay_steps, e.g. a fifth "
        "of the run, {}, or optimizer.schedule = \"constant\"",
        std::max<std::int64_t>(1, c.run.steps / 5));
  if (o.warmup_steps + o.decay_steps > c.run.steps)
    user_error("optimizer.warmup_steps = {} and optimizer.decay_steps = {} are more than run.steps = {}: set fewer",
               o.warmup_steps, o.decay_steps, c.run.steps);
}

/// What comm.sharding = "full" does not do.
void validate_sharding(const RunConfig& c, int world_size) {
  const RunConfig::Comm& comm = c.comm;
  const bool full = comm.sharding == "full";
  if (comm.shard_group != 0 && !full)
    user_error(
        "comm.shard_group = {} has no part in comm.sharding = \"{}\": set comm.sharding = \"full\", or leave it 0",
        comm.shard_group, comm.sharding);
  if (!full) return;
  if (comm.shard_group == 1)
    user_error(
        "comm.shard_group = 1: groups of one rank shard nothing: set comm.sharding = \"none\", or a group of 2 or more");
  if (comm.shard_group > 0 && world_size % comm.shard_group != 0)
    user_error(
        "comm.shard_group = {} does not divide {} rank{}: set a divisor of their number, or 0 for one group of all",
        comm.shard_group, world_size, world_size == 1 ? "" : "s");
  if (c.objective.distils())
    user_error(
        "comm.sharding = \"full\" with objective.kind = \"consistency\", whose step runs the network three times: set "
        "comm.sharding = \"optimizer\"");
  if (c.log.noise_scale)
    user_error(
        "comm.sharding = \"full\" with log.noise_scale = true: no rank has a whole gradient to take the norm of: set "
        "log.noise_scale = false, or comm.sharding = \"optimizer\"");
}

}  // namespace

void validate(const RunConfig& c, int world_size) {
  model::validate(c.model);
  validate_objective(c.objective);
  resolved_directory(c, world_size);
  validate_sequence(c, world_size);
  validate_batch(c, world_size);
  validate_schedule(c);
  validate_sharding(c, world_size);
  if (c.data.flip && c.data.path.empty())
    user_error(
        "data.flip = true without data.path: the classes of the procedural shapes are directions, which a flip changes: "
        "set data.flip = false, or give data.path");
}

}  // namespace gpumonth::trainer
