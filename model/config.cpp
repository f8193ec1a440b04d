#include "model/config.h"

#include <limits>

#include "base/error.h"

namespace gpumonth::model {

void declare(config::Table& table, ModelConfig& m) {
  table.field("from", m.from, {.help = "a model file to start from, relative to this one; keys beside it win"});
  table.field("input_size", m.input_size,
              {.unit = "latent pixels", .min = 1, .max = 1 << 16, .help = "latent height and width: image / 8"});
  table.field("patch_size", m.patch_size,
              {.unit = "latent pixels", .min = 1, .max = 1 << 16, .help = "edge of a patch; divides input_size"});
  table.field("in_channels", m.in_channels, {.min = 1, .max = 1 << 16, .help = "latent channels"});
  table.field("hidden_size", m.hidden_size, {.min = 4, .max = 1 << 20, .help = "width h; a multiple of 4"});
  table.field("depth", m.depth, {.min = 1, .max = 1 << 14, .help = "transformer blocks"});
  table.field("num_heads", m.num_heads, {.min = 1, .max = 1 << 16, .help = "attention heads; divides hidden_size"});
  table.field("mlp_ratio", m.mlp_ratio, {.unit = "1", .min = 0.01, .max = 64, .help = "MLP width / hidden_size"});
  table.field("class_dropout_prob", m.class_dropout_prob,
              {.unit = "1", .min = 0, .max = 1, .help = "probability that a label is dropped; 0: no null label"});
  table.field("num_classes", m.num_classes, {.min = 1, .max = 1 << 24, .help = "labels 0 .. num_classes-1"});
  table.field("learn_sigma", m.learn_sigma, {.help = "predict the variance too"});
  table.field("frames", m.frames, {.unit = "latent frames", .min = 1, .max = 1 << 20, .help = "an image has 1"});
  table.field("temporal_patch_size", m.temporal_patch_size,
              {.unit = "latent frames", .min = 1, .max = 1 << 20, .help = "frames per patch; divides frames"});
}

namespace {

/// Sizes are int, counts are int64: a model beyond them is a typo, and would be counted wrong in silence.
void check_countable(const ModelConfig& m) {
  constexpr double kIntMax = std::numeric_limits<int>::max(), kInt64Max = 9.2e18;
  const double h = m.hidden_size, mlp = h * m.mlp_ratio, edge = static_cast<double>(m.input_size) / m.patch_size;
  const double patch = 2.0 * m.in_channels * m.temporal_patch_size * m.patch_size * m.patch_size;
  const double tokens = edge * edge * m.frames / m.temporal_patch_size;
  const double block = tokens * h * (4 * h + 2 * mlp + 2 * tokens) + 6 * h * h;
  const double training_flops = 6 * (m.depth * block + tokens * h * 2 * patch + 3 * h * h);
  if (patch > kIntMax || mlp > kIntMax || training_flops > kInt64Max) {
    user_error("model: too large to count ({:.1e} training FLOPs per sample): make depth, width or tokens smaller",
               training_flops);
  }
}

}  // namespace

void validate(const ModelConfig& m) {
  if (m.input_size % m.patch_size != 0) {
    user_error("model: input_size {} is not a multiple of patch_size {}: change one of them", m.input_size,
               m.patch_size);
  }
  if (m.frames % m.temporal_patch_size != 0) {
    user_error("model: frames {} is not a multiple of temporal_patch_size {}: change one of them", m.frames,
               m.temporal_patch_size);
  }
  if (m.hidden_size % m.num_heads != 0) {
    user_error("model: hidden_size {} is not a multiple of num_heads {}: change one of them", m.hidden_size,
               m.num_heads);
  }
  if (m.hidden_size % 4 != 0) {
    user_error("model: hidden_size {} is not a multiple of 4, which the sin-cos positions need: round it",
               m.hidden_size);
  }
  if (m.mlp_hidden() < 1) {
    user_error("model: mlp_ratio {} gives an MLP of width 0: make it larger", m.mlp_ratio);
  }
  check_countable(m);
}

ModelConfig load_model(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  config::Table root;
  ModelConfig model;
  declare(root.table("model"), model);
  config::load(root, file, overrides);
  validate(model);
  return model;
}

}  // namespace gpumonth::model
