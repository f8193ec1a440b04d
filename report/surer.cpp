// What would make the budget surer: the input with the largest share of the variance, and the command that measures it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/format.h"
#include "budget/formulas/inputs.h"
#include "budget/inputs/memory_plan.h"
#include "budget/print/input_words.h"
#include "report/html.h"
#include "report/report.h"

namespace gpumonth::report {
namespace {

/// How a run tells an input: those whose name starts with `prefix`.
struct Measurement {
  const char* prefix;
  const char* words;  ///< {} is the hardware
  std::string (*command)(const budget::Scenario&);
};

constexpr double kGigabyte = 1e9;
constexpr int kFewBlocks = 2;  // seconds per block are what is asked; more blocks only take more memory
constexpr int kFewSteps = 50;

/// The scenario's blocks, as few as tell their time, on samples as long as fit on one of its devices.
model::ModelConfig few_blocks(const budget::Scenario& s) {
  model::ModelConfig model = s.model;
  model.depth = std::min(model.depth, kFewBlocks);
  budget::MemoryPlan plan;
  plan.sharding = "none";
  const double room = s.hardware.memory_gb * (1 - plan.memory_reserve) * kGigabyte;  // not finite: not known
  while (budget::memory_need(model, plan, 1).total() > room && model.frames >= 2 * model.temporal_patch_size)
    model.frames = model.frames / 2 / model.temporal_patch_size * model.temporal_patch_size;
  return model;
}

/// A quarter of the tokens: of the frames where there are so many, else of an image of half the edge.
model::ModelConfig shorter(model::ModelConfig model) {
  const int frames = model.frames / 4 / model.temporal_patch_size * model.temporal_patch_size;
  if (frames > 0)
    model.frames = frames;
  else
    model.input_size = std::max(1, model.input_size / 2 / model.patch_size) * model.patch_size;
  return model;
}

std::string train_blocks(const model::ModelConfig& m) {
  return fmt::format(
      "gpumonth train configs/runs/video.toml --set run.name=tokens-{} --set run.steps={} --set run.dtype=bf16 \\\n"
      "    --set batch.global=1 --set comm.bucket_mib=64 --set model.depth={} --set model.hidden_size={} \\\n"
      "    --set model.num_heads={} --set model.mlp_ratio={:g} --set model.patch_size={} \\\n"
      "    --set model.temporal_patch_size={} --set model.in_channels={} --set model.input_size={} \\\n"
      "    --set model.frames={}\n",
      m.tokens(), kFewSteps, m.depth, m.hidden_size, m.num_heads, m.mlp_ratio, m.patch_size, m.temporal_patch_size,
      m.in_channels, m.input_size, m.frames);
}

std::string report_on(const char* runs, const budget::Scenario& s) {
  return fmt::format("gpumonth report {} -o report.html --scenario {}", runs, s.path);
}

std::string two_lengths(const budget::Scenario& s) {
  const model::ModelConfig longer = few_blocks(s);
  return train_blocks(shorter(longer)) + train_blocks(longer) + report_on("runs/*/run.h5", s);
}

std::string one_run(const budget::Scenario& s) {
  return "gpumonth train configs/runs/video.toml\n" + report_on("runs/*/run.h5", s);
}

std::string ranks_sweep(const budget::Scenario& s) {
  return "jobs/sweep.sh configs/runs/video.toml --ranks \"8 16 32 64\" --out runs/sweep\n" +
         report_on("runs/sweep/*/run.h5", s);
}

constexpr std::array kMeasurements = {
    Measurement{budget::kUtilisationInput,
                "Some steps on one {} tell it, of a few blocks of the scenario's own width at two lengths of samples, "
                "the longer as long as fits:",
                two_lengths},
    Measurement{budget::kEfficiencyInput, "The same training on several numbers of {} GPUs tells it:", ranks_sweep},
    Measurement{"scaling.", "The same training on several numbers of {} GPUs tells it:", ranks_sweep},
    Measurement{"goodput.checkpoint", "A run on {} that writes checkpoints where the training will tells it:", one_run},
};

/// nullptr where no run does: also the utilisation of a model that is not counted, whose blocks cannot be trained here.
const Measurement* measurement_of(const budget::Scenario& s, const std::string& input) {
  if (input == budget::kUtilisationInput && s.has("training.flop_per_sample")) return nullptr;
  for (const auto& measurement : kMeasurements)
    if (input.starts_with(measurement.prefix)) return &measurement;
  return nullptr;
}

std::string commands(const std::string& text) { return "<pre>" + html::escape(text) + "</pre>\n"; }

std::string share_words(const budget::InputShare& input) {
  return fmt::format("{} ({:.0f} % of the variance; {})", html::escape(budget::input_words(input.share.input)),
                     100 * input.share.first_order, html::tag(input.tag));
}

std::string measured_by(const budget::Budget& budget, const Measurement& measurement) {
  return fmt::format(fmt::runtime(measurement.words), html::escape(budget.scenario.hardware.name)) + "</p>\n" +
         commands(measurement.command(budget.scenario));
}

}  // namespace

std::string surer(const budget::Budget& budget) {
  if (budget.months_shares.empty())
    return "<p>Nothing in it varies: give the inputs ranges (low = ..., high = ...), and the one that matters most is "
           "named here.</p>\n";
  const budget::InputShare& first = budget.months_shares.front();
  std::string out = "<p>To know " + share_words(first) + ". ";
  if (const Measurement* measurement = measurement_of(budget.scenario, first.share.input))
    return out + measured_by(budget, *measurement);
  out += "No run measures it: it is for those who plan the training to say. The budget for one value of it:</p>\n" +
         commands(fmt::format(
             "gpumonth budget {} --set {}=VALUE", budget.scenario.path,
             first.share.input == budget::kUtilisationInput ? "utilisation.published_mfu" : first.share.input));
  for (const auto& input : budget.months_shares)
    if (const Measurement* measurement = measurement_of(budget.scenario, input.share.input))
      return out + "<p>The first that a run measures is " + share_words(input) + ". " +
             measured_by(budget, *measurement);
  return out;
}

}  // namespace gpumonth::report
