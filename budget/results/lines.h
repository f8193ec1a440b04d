// Results beside the ladder: named lines in named groups, which text, JSON and HTML all show alike.
#pragma once

#include <string>
#include <vector>

#include "budget/formulas/inputs.h"
#include "budget/inputs/number.h"
#include "budget/inputs/sampled_run.h"
#include "budget/inputs/scenario.h"
#include "budget/ladder/ladder.h"
#include "budget/plan/training_plan.h"

namespace gpumonth::budget {

struct Line {
  std::string id;     ///< key in the JSON
  std::string label;  ///< for people
  Number number;
};

struct Group {
  std::string id;  ///< key in the JSON: "inference"
  std::string title;
  std::vector<Line> lines;
};

// Each leaves out what the scenario's inputs do not reach, and names it in `notes`.

/// The published estimate's base model: its compute, GPU-months, samples, and whether its factors reproduce it.
Group training_group(const Scenario& scenario, std::vector<std::string>& notes);
/// What outputs cost, minutes of clip per GPU-hour, and after how much output inference has cost what
/// training did. What samplers in use today make is 90 % of `draws`; what our own made is `sampled`'s.
Group inference_group(const Scenario& scenario, const Inputs<Column>& draws, const std::vector<Rung>& rungs,
                      const std::vector<SampledRun>& sampled, std::vector<std::string>& notes);
/// FLOP per output: an image, a clip, 1,000 tokens of language models.
Group outputs_group(const Scenario& scenario, std::vector<std::string>& notes);
/// GPUs that a share of all uploads would keep busy: as the publication prints it, and as its factors multiply.
Group demand_group(const Scenario& scenario, std::vector<std::string>& notes);
/// Days, money and energy of the last rung; 90 % of the draws where it is one of `training` (may be nullptr).
Group cost_group(const Scenario& scenario, const std::vector<Rung>& rungs, const TrainingPlan* training,
                 std::vector<std::string>& notes);
/// The fit of measured layers, and the MFU that it gives at each length of samples. Empty for nullptr.
Group layers_group(const MeasuredLayers* layers);
/// The training on N GPUs: memory, batch, efficiency, failures. Empty without them.
Group plan_group(const Scenario& scenario, const std::vector<Rung>& rungs, const TrainingPlan* training);

/// Published compute of one clip, all denoising steps; of one image; unknown where inputs are missing.
Number clip_inference(const Scenario& scenario);
Number image_inference(const Scenario& scenario);
/// Minutes of clip that one GPU makes in an hour at its peak, for `flop` per clip.
Number minutes_per_gpu_hour(const Scenario& scenario, const Number& flop_per_clip);

}  // namespace gpumonth::budget
