#include "budget/inputs/curriculum.h"

#include <algorithm>
#include <cmath>
#include <deque>

#include "base/config.h"
#include "base/error.h"
#include "budget/inputs/number.h"
#include "model/flops.h"

namespace gpumonth::budget {
namespace {

constexpr double kShareTolerance = 1e-3;  // published shares are rounded

void declare_stage(config::Table& table, Stage& stage) {
  table.field("id", stage.id, {.help = "its name in messages"});
  table.field("name", stage.name, {.help = "its name for people; left out: the id"});
  table.field("width", stage.width, {.unit = "pixels", .min = 1, .max = 65536, .help = "of a sample"});
  table.field("height", stage.height, {.unit = "pixels", .min = 1, .max = 65536, .help = "of a sample"});
  table.field("frames", stage.frames,
              {.unit = "frames", .min = 1, .max = 1e6, .help = "of a sample, before the autoencoder; 1: an image"});
  table.field("share", stage.share, {.min = 0, .max = 1, .help = "of what share_of says", .slips = {0.01}});
}

void declare_curriculum(config::Table& root, Curriculum& curriculum, std::deque<Stage>& stages) {
  root.field("title", curriculum.title, {.help = "whose curriculum it is"});
  root.field("tag", curriculum.tag, {.one_of = {"published", "assumed"}, .help = "the weakest of what stands here"});
  root.field("source", curriculum.source, {.help = "who says so, and what is assumed"});
  root.field("share_of", curriculum.share_of,
             {.one_of = {"tokens", "samples", "steps"}, .help = "what the stages' shares are of"});
  root.list("stages", stages, declare_stage, {.help = "a stage of the training"});
}

std::int64_t patches(double length, double patch, const char* what, const char* unit, const Stage& stage,
                     const std::string& file) {
  const double count = length / patch;
  if (count != std::floor(count))
    user_error(
        "{}: stage '{}': {} = {:g} {} is no multiple of {:g}, the {} that become one token (compression x patch): give "
        "{:g} or {:g}",
        file, stage.id, what, length, unit, patch, unit, std::max(1.0, std::floor(count)) * patch,
        std::ceil(count) * patch);
  return std::llround(count);
}

void count_tokens(Stage& stage, const Patching& patching, const std::string& file) {
  for (const int edge : {stage.width, stage.height})
    if (edge < 1) user_error("{}: stage '{}' has no width or height: add both, in pixels", file, stage.id);
  stage.tokens = patches(stage.width, patching.pixels, "width", "pixels", stage, file) *
                 patches(stage.height, patching.pixels, "height", "pixels", stage, file);
  // An image is one frame, which the autoencoder keeps and a patch in time holds.
  if (stage.frames > 1) stage.tokens *= patches(stage.frames, patching.frames, "frames", "frames", stage, file);
}

void set_token_shares(Curriculum& curriculum) {
  double shares = 0, sum = 0;
  for (const auto& stage : curriculum.stages) shares += stage.share;
  if (std::abs(shares - 1) > kShareTolerance)
    user_error("{}: the shares of its {} stages add up to {:g}, not to 1: mend them", curriculum.path,
               curriculum.stages.size(), shares);
  const bool of_samples = curriculum.share_of == "samples";
  for (auto& stage : curriculum.stages) {
    stage.token_share = stage.share * (of_samples ? static_cast<double>(stage.tokens) : 1);
    sum += stage.token_share;
  }
  for (auto& stage : curriculum.stages) stage.token_share /= sum;
}

}  // namespace

double Curriculum::samples_per_token() const {
  double sum = 0;
  for (const auto& stage : stages) sum += stage.token_share / static_cast<double>(stage.tokens);
  return sum;
}

double training_flops_per_token(const model::ModelConfig& model, std::int64_t tokens) {
  return kTrainingFlopsPerForwardMac * static_cast<double>(model::forward_macs(model, tokens)) /
         static_cast<double>(tokens);
}

double Curriculum::training_flops_per_token(const model::ModelConfig& model) const {
  double sum = 0;
  for (const auto& stage : stages) sum += stage.token_share * budget::training_flops_per_token(model, stage.tokens);
  return sum;
}

Curriculum load_curriculum(const std::filesystem::path& file, const Patching& patching) {
  Curriculum curriculum;
  curriculum.path = file.string();
  std::deque<Stage> stages;
  config::Table root;
  declare_curriculum(root, curriculum, stages);
  config::load(root, file);
  if (stages.empty()) user_error("{}: has no [[stages]]: add at least one", curriculum.path);
  if (curriculum.tag.empty() || curriculum.source.empty())
    user_error("{}: has no {}: add tag = \"published\" or \"assumed\" and source = \"who says so\"", curriculum.path,
               curriculum.tag.empty() ? "tag" : "source");
  for (auto& stage : stages) {
    if (stage.name.empty()) stage.name = stage.id;
    count_tokens(stage, patching, curriculum.path);
    curriculum.stages.push_back(stage);
  }
  set_token_shares(curriculum);
  return curriculum;
}

}  // namespace gpumonth::budget
