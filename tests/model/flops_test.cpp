// The DiT paper's table, and the formula against an enumerated list of matrix products.
#include "model/flops.h"

#include "model/gemms.h"
#include "model/parameters.h"
#include "tests/catch.h"

using namespace gpumonth::model;

namespace {

ModelConfig load(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return load_model(std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/" + name + ".toml", overrides);
}

std::int64_t gemm_macs(const ModelConfig& model, std::int64_t samples) {
  std::int64_t macs = 0;
  for (const auto& gemm : forward_gemms(model, samples)) macs += gemm.macs();
  return macs;
}

/// Shipped models and odd ones.
std::vector<ModelConfig> many_models() {
  std::vector<ModelConfig> models;
  for (const char* name : {"dit-s-2", "dit-b-4", "dit-l-8", "dit-xl-2", "dit-xl-2-512", "dit-20b", "dit-20b-video",
                           "dit-s-2-video", "dit-xl-2-video", "dit-tiny", "dit-tiny-video"}) {
    models.push_back(load(name));
  }
  models.push_back(load("dit-s-2", {"model.mlp_ratio=3.3", "model.learn_sigma=false"}));
  models.push_back(load("dit-s-2", {"model.frames=6", "model.temporal_patch_size=3", "model.in_channels=16"}));
  return models;
}

}  // namespace

TEST_CASE("the DiT paper's table: forward GMACs within 0.2 % and its rounding to two decimals") {
  const std::vector<std::pair<std::string, double>> paper = {
      {"s-8", 0.36},   {"s-4", 1.41},    {"s-2", 6.06},       {"b-8", 1.42},  {"b-4", 5.56},
      {"b-2", 23.01},  {"l-8", 5.01},    {"l-4", 19.70},      {"l-2", 80.71}, {"xl-8", 7.39},
      {"xl-4", 29.05}, {"xl-2", 118.64}, {"xl-2-512", 524.60}};
  for (const auto& [name, gmacs] : paper) {
    const double ours = static_cast<double>(forward_macs(load("dit-" + name))) / 1e9;
    INFO("dit-" << name << ": " << ours << " GMACs, the paper has " << gmacs);
    CHECK(std::fabs(ours - gmacs) <= 0.002 * gmacs + 0.005);
  }
}

TEST_CASE("exact numbers worked out by hand") {
  // DiT-S/8: T = 16, h = 384, L = 12, 256 values in and 512 out per patch.
  CHECK(forward_macs(load("dit-s-8")) == 12 * (12 * 16 * 147456 + 2 * 256 * 384 + 6 * 147456) + 2 * 147456 +
                                             16 * 256 * 384 + 16 * 512 * 384 + 256 * 384 + 147456);
  CHECK(forward_flops(load("dit-s-8")) == 2 * forward_macs(load("dit-s-8")));
  CHECK(train_flops(load("dit-s-8")) == 6 * forward_macs(load("dit-s-8")));
}

TEST_CASE("a step of distillation has two or three forward passes more, which are not computed again") {
  const auto model = load("dit-s-8");
  const StepWork plain = step_work(model, 4, Recompute::full),
                 guided = step_work(model, 4, Recompute::full, distillation_forwards(4)),
                 alone = step_work(model, 4, Recompute::full, distillation_forwards(1));
  const auto forward = 4.0 * static_cast<double>(forward_flops(model));
  CHECK(plain.model_flops == 3 * forward);
  CHECK(guided.model_flops == 6 * forward);
  CHECK(alone.model_flops == 5 * forward);
  CHECK(guided.hardware_flops - guided.model_flops == plain.hardware_flops - plain.model_flops);
}

TEST_CASE("the formula is the sum of the enumerated matrix products, exactly") {
  for (const auto& model : many_models()) {
    INFO("tokens " << model.tokens() << ", width " << model.hidden_size);
    CHECK(gemm_macs(model, 1) == forward_macs(model));
    CHECK(gemm_macs(model, 3) == 3 * forward_macs(model));
  }
}

TEST_CASE("the layers sum to the totals: MACs and parameters") {
  for (const auto& model : many_models()) {
    INFO("tokens " << model.tokens() << ", width " << model.hidden_size);
    std::int64_t macs = 0, parameters = 0;
    for (const auto& layer : layer_flops(model)) {
      macs += layer.forward_macs;
      parameters += layer.parameters;
    }
    CHECK(macs == forward_macs(model));
    CHECK(parameters == ParameterTable(model).count());
  }
}

TEST_CASE("attention dominates a minute of video") {
  const ModelConfig sora = load("dit-20b-video");
  const double share = static_cast<double>(attention_forward_macs(sora)) / static_cast<double>(forward_macs(sora));
  CHECK(share / (1 - share) == Approx(5.0).epsilon(0.02));
  const double parameters = static_cast<double>(ParameterTable(sora).count());
  CHECK(parameters == Approx(20.4e9).epsilon(0.02));
}

TEST_CASE("recompute repeats the blocks' layers but for the last two blocks") {
  const ModelConfig model = load_model(std::string(GPUMONTH_SOURCE_DIR) + "/configs/models/dit-s-2.toml");
  std::int64_t blocks = 0;
  for (const auto& layer : layer_flops(model))
    if (layer.name.starts_with("blocks.") && layer.name != "blocks.adaLN") blocks += 2 * layer.forward_macs;
  CHECK(recompute_flops(model) * model.depth == blocks * (model.depth - 2));
  const std::int64_t attention = 2 * attention_forward_macs(model);
  CHECK(recompute_flops(model, Recompute::none) == 0);
  CHECK(step_work(model, 8, Recompute::linear).hardware_flops ==
        static_cast<double>(8 * (train_flops(model) + recompute_flops(model, Recompute::linear))));
  CHECK(recompute_flops(model, Recompute::linear) * model.depth == (blocks - attention) * (model.depth - 2));
}
