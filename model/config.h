// The DiT's shape: the constructor arguments of the reference (github.com/facebookresearch/DiT, models.py),
// and two for video. Read from configs/models/*.toml, table [model].
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/config.h"

namespace gpumonth::model {

struct ModelConfig {
  std::string from;                 ///< a model file to start from; keys beside it win
  int input_size = 32;              ///< latent height and width (image pixels / 8)
  int patch_size = 2;               ///< p: spatial patch edge, latent pixels
  int in_channels = 4;              ///< latent channels
  int hidden_size = 1152;           ///< h
  int depth = 28;                   ///< L: blocks
  int num_heads = 16;               ///< divides hidden_size
  double mlp_ratio = 4.0;           ///< MLP width / h
  double class_dropout_prob = 0.1;  ///< probability that a label becomes the null label; 0: no null label
  int num_classes = 1000;           ///< labels 0 .. num_classes-1; num_classes is the null label
  bool learn_sigma = true;          ///< predict the variance too: out_channels = 2 x in_channels
  int frames = 1;                   ///< F: latent frames; 1 is an image
  int temporal_patch_size = 1;      ///< latent frames per patch

  int grid() const { return input_size / patch_size; }            ///< patches along one spatial edge
  int time_grid() const { return frames / temporal_patch_size; }  ///< patches along time
  std::int64_t tokens() const { return std::int64_t{1} * time_grid() * grid() * grid(); }  ///< T
  int patch_volume() const { return temporal_patch_size * patch_size * patch_size; }
  int out_channels() const { return learn_sigma ? 2 * in_channels : in_channels; }
  int patch_in() const { return patch_volume() * in_channels; }      ///< values per input patch
  int patch_out() const { return patch_volume() * out_channels(); }  ///< values per output patch
  int head_dim() const { return hidden_size / num_heads; }
  int mlp_hidden() const { return static_cast<int>(hidden_size * mlp_ratio); }
  int label_rows() const { return num_classes + (class_dropout_prob > 0 ? 1 : 0); }
  /// Values in one latent sample (C, F, H, W); F is left out of the stored shape where frames == 1.
  std::int64_t latent_size() const { return std::int64_t{in_channels} * frames * input_size * input_size; }
  bool is_video() const { return frames > 1 || temporal_patch_size > 1; }
};

constexpr int kFrequencyEmbeddingSize = 256;  ///< width of the timestep's sin-cos embedding (reference)

void declare(config::Table& table, ModelConfig& model);

/// Throws UserError where heads do not divide the width, the patch does not divide the input, and so on.
void validate(const ModelConfig& model);

/// Reads `file`'s [model] with --set overrides ("model.depth=2"), validated.
ModelConfig load_model(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

}  // namespace gpumonth::model
