// What run logs say of one block: seconds of forward and backward per sample at the log's number of tokens, and whether
// that block is the scenario's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "budget/inputs/efficiency.h"
#include "model/config.h"
#include "model/hardware.h"
#include "runlog/record.h"

namespace gpumonth::budget {

/// One log, per block and sample of one rank. The embeddings and the final layer, below 0.1 % of a wide model, are
/// taken off by their share of the FLOPs; the optimizer, data and communication have columns of their own and are not
/// in here. What the run recomputed, a second forward pass of all blocks but two, is taken off as well.
struct LayerLog {
  std::string path = {}, device_name = {};
  runlog::Origin origin = runlog::Origin::measured;
  int ranks = 1;
  double tokens = 0;                               ///< of a sample
  std::vector<double> forward_s = {}, all_s = {};  ///< by steady step; all: forward and backward
};

/// The model in the run's logged configuration; nothing where it does not say one, or not a valid one.
std::optional<model::ModelConfig> logged_model(const Efficiency& run);

/// Why this log says nothing of the blocks of `model` on `device`; empty where it does.
std::string why_other_layers(const Efficiency& run, const model::ModelConfig& model, const model::Hardware& device);

/// Of a log without such a reason.
LayerLog layer_log(const Efficiency& run);

}  // namespace gpumonth::budget
