#include "trainer/quality/evaluate.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/crc32.h"
#include "base/error.h"
#include "trainer/run_info.h"
#include "trainer/shared_cores.h"

namespace gpumonth::trainer {
namespace {

/// A consistency model's epsilon is right only where its own loss asks for it.
void require_diffusion(const TrainedRun& run) {
  if (run.config.objective.distils())
    user_error(
        "{} is a consistency model, which the diffusion loss does not measure: evaluate its samples with --samples",
        run.checkpoint.string());
}

/// Losses are compared pair by pair: the same held-out samples, and the same kind of loss.
void require_comparable(const TrainedRun& first, const TrainedRun& run) {
  const model::ModelConfig &a = first.config.model, &b = run.config.model;
  const std::pair<const char*, std::pair<std::int64_t, std::int64_t>> keys[] = {
      {"input_size", {a.input_size, b.input_size}},
      {"in_channels", {a.in_channels, b.in_channels}},
      {"frames", {a.frames, b.frames}},
      {"num_classes", {a.num_classes, b.num_classes}},
      {"learn_sigma", {a.learn_sigma, b.learn_sigma}}};
  for (const auto& [key, values] : keys)
    if (values.first != values.second)
      user_error("{} has model.{} = {}, and {} has {}: their losses cannot be compared, evaluate them apart",
                 first.checkpoint.string(), key, values.first, run.checkpoint.string(), values.second);
}

/// Held-out samples for `run`: of `o.data`, or of the procedural set in the colours of its training.
std::unique_ptr<Dataset> held_out_for(const EvaluateOptions& o, const TrainedRun& run) {
  if (o.data.empty()) {
    if (!run.procedural())
      user_error("{} was trained on {}: give latents that were held out with --data FILE", run.checkpoint.string(),
                 run.config.data.path);
    return make_held_out_dataset(run.config.model, run.config.run.seed);
  }
  auto data = open_latent_dataset(o.data, run.config.model);
  if (data->identity() == run.info.dataset)
    user_error("{} is what {} was trained on: give latents that were held out with --data FILE", o.data,
               run.checkpoint.string());
  if (data->size() < kFewestValidationSamples)
    user_error("{} has {} samples, and a validation loss takes {} or more: give a larger file", o.data, data->size(),
               kFewestValidationSamples);
  return data;
}

/// As far as an evaluation has one: what resolve() asks.
ResolvedRun resolve_evaluation(const EvaluateOptions& o, const comm::Transport& transport) {
  RunConfig c;
  c.run.backend = o.backend;
  c.run.dtype = o.dtype;
  c.run.threads = o.threads;
  return resolve(c, transport);
}

void require_finite_losses(const TrainedRun& run, const std::vector<double>& losses) {
  const auto bad = std::find_if_not(losses.begin(), losses.end(), [](double loss) { return std::isfinite(loss); });
  if (bad != losses.end())
    user_error("{}: the loss of held-out sample {} is no finite number: its weights are none of a trained network",
               run.checkpoint.string(), bad - losses.begin());
}

std::vector<CheckpointQuality> evaluate_checkpoints(const EvaluateOptions& o, const std::vector<TrainedRun>& runs,
                                                    const ResolvedRun& resolved, comm::Communicator& ranks,
                                                    std::vector<std::string>& notes) {
  std::vector<CheckpointQuality> all;
  std::vector<double> first;
  SharedCores shared_cores(resolved.backend == "cpu" ? resolved.threads : 1);
  for (const TrainedRun& run : runs) {
    const auto data = held_out_for(o, run);
    const std::int64_t count = std::min(o.count, data->size());
    if (count < o.count && all.empty()) notes.push_back(fmt::format("{} has {} samples: all are taken", o.data, count));
    const model::ParameterTable table(run.config.model);
    const auto network =
        load_network(run.checkpoint, o.weights, o.batch, kValidationSeed, run.config.model, resolved, table);
    const std::vector<double> losses =
        validation_losses(count, o.batch, run.config.model, *network, *data, ranks, [&] { shared_cores.look(); });
    require_finite_losses(run, losses);
    if (first.empty()) first = losses;
    std::vector<double> differences;
    for (std::size_t i = 0; i < losses.size(); ++i) differences.push_back(losses[i] - first[i]);
    all.push_back({run, table.count(), count, summarise(losses), summarise(differences)});
  }
  return all;
}

/// The checkpoint that made the samples: one that is evaluated, else the file that they name.
TrainedRun source_of(const std::filesystem::path& file, const StoredSamples& stored,
                     const std::vector<TrainedRun>& runs, const std::vector<std::string>& checksums) {
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (checksums[i] == stored.checkpoint_crc32) return runs[i];
  if (!std::filesystem::exists(stored.checkpoint))
    user_error(
        "{}: its checkpoint {} is not there, and says how its drawings are read: give the checkpoint where it is "
        "now, before --samples",
        file.string(), stored.checkpoint);
  if (crc32_text(crc32_of_file(stored.checkpoint)) != stored.checkpoint_crc32)
    user_error("{}: {} is no longer the checkpoint that made these samples, its bytes differ: sample again",
               file.string(), stored.checkpoint);
  return read_trained_run(stored.checkpoint);
}

std::vector<SampleQuality> evaluate_samples(const EvaluateOptions& o, const std::vector<TrainedRun>& runs,
                                            int threads) {
  std::vector<std::string> checksums;
  for (const TrainedRun& run : runs)
    if (!o.samples.empty()) checksums.push_back(crc32_text(crc32_of_file(run.checkpoint)));
  SampleJudge judge(threads);
  std::vector<SampleQuality> all;
  for (const std::string& file : o.samples) {
    const StoredSamples stored = read_samples(file);
    all.push_back(judge.judge(file, stored, source_of(file, stored, runs, checksums)));
  }
  return all;
}

}  // namespace

Evaluation evaluate(const EvaluateOptions& o, comm::Transport& transport) {
  if (o.checkpoints.empty() && o.samples.empty())
    user_error("nothing to evaluate: give checkpoints, or samples with --samples samples.h5");
  std::vector<TrainedRun> runs;
  for (const std::string& file : o.checkpoints) {
    runs.push_back(read_trained_run(file));
    require_diffusion(runs.back());
    require_weights(runs.back().checkpoint, runs.back().info, o, "evaluate");
    require_comparable(runs.front(), runs.back());
  }
  const ResolvedRun resolved = resolve_evaluation(o, transport);
  comm::Communicator& ranks = transport.ranks();
  Evaluation result{.weights = o.weights, .checkpoints = {}, .samples = {}, .notes = {}};
  // Samples first: what is wrong with them is known before the work on all ranks.
  if (ranks.rank() == 0) result.samples = evaluate_samples(o, runs, resolved.threads);
  result.checkpoints = evaluate_checkpoints(o, runs, resolved, ranks, result.notes);
  return result;
}

}  // namespace gpumonth::trainer
