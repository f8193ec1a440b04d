// Run logs of one block's width whose forward and backward have a planted a T + b T^2.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "budget/inputs/efficiency.h"
#include "model/flops.h"
#include "tests/budget/samples.h"

namespace gpumonth::tests {

struct PlantedLayers {
  double a = 4e-6, b = 1.5e-10;    ///< s per token and per square of tokens: one block, forward and backward
  double forward_share = 1.0 / 3;  ///< of both
  double noise = 0;                ///< steps alternate by this share up and down, in pairs
  std::string device = "NVIDIA H200", dtype = "bf16";
  int hidden_size = 6144, num_heads = 48, depth = 2, steps = 43;
};

/// A log of `frames` latent frames of 1,024 tokens each, two samples a step.
inline runlog::Run layer_run(int frames, const PlantedLayers& planted = {}) {
  auto run = make_run(0.5, 1, planted.steps);
  model::ModelConfig model;
  model.input_size = 64;
  model.hidden_size = planted.hidden_size;
  model.num_heads = planted.num_heads;
  model.depth = planted.depth;
  model.frames = frames;
  run.path = fmt::format("w{}-d{}-f{}.h5", model.hidden_size, model.depth, frames);
  run.info.model_name = fmt::format("w{}-d{}-f{}", model.hidden_size, model.depth, frames);
  run.info.config_toml = fmt::format(
      "[model]\ninput_size = 64\nhidden_size = {}\nnum_heads = {}\ndepth = {}\nframes = {}\n\n[run]\nsteps = 9\n",
      model.hidden_size, model.num_heads, model.depth, frames);
  run.info.backend = "cuda";
  run.info.dtype = planted.dtype;
  run.info.device_name = planted.device;
  run.info.peak_flops_per_s = 989.4e12;
  run.info.peak_source = "datasheet";
  const auto T = static_cast<double>(model.tokens());
  const double blocks = planted.depth * (planted.a * T + planted.b * T * T);
  // Embeddings and final layer take their share of the FLOPs on top.
  const double h = model.hidden_size, per_block = 12 * T * h * h + 2 * T * T * h + 6 * h * h;
  const double whole = blocks * static_cast<double>(model::forward_macs(model)) / (planted.depth * per_block);
  for (auto& step : run.steps) {
    const double sway = 1 + (step.step / 2 % 2 == 0 ? planted.noise : -planted.noise);
    step.samples = 2;
    step.tokens = 2 * model.tokens();
    step.forward_s = 2 * whole * planted.forward_share * sway;
    step.backward_s = 2 * whole * (1 - planted.forward_share) * sway;
    step.optimizer_s = 0.3;  // must not count
    step.step_time_s = step.forward_s + step.backward_s + step.optimizer_s;
    step.model_flops = step.hardware_flops = 2 * static_cast<double>(model::train_flops(model));
  }
  return run;
}

inline std::vector<budget::Efficiency> efficiencies(const std::vector<runlog::Run>& runs) {
  std::vector<budget::Efficiency> all;
  for (const auto& run : runs) all.push_back(budget::efficiency_of(run));
  return all;
}

}  // namespace gpumonth::tests
