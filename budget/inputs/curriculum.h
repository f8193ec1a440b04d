// A curriculum: the stages that a training spreads its tokens over, small images first and long clips last. The files of
// configs/published/curricula/ say pixels and frames; how many tokens a sample of a stage has follows from the autoencoder
// and the patches of the scenario that uses them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "model/config.h"

namespace gpumonth::budget {

struct Stage {
  std::string id, name;
  int width = 0, height = 0;  ///< pixels
  int frames = 1;             ///< before the autoencoder; 1: an image
  double share = 0;           ///< as published, of Curriculum::share_of

  std::int64_t tokens = 0;  ///< of a sample
  double token_share = 0;   ///< of all tokens of the training
};

/// 6 x forward MACs of a sample of `tokens` over its tokens.
double training_flops_per_token(const model::ModelConfig& model, std::int64_t tokens);

struct Curriculum {
  std::string path, title, tag, source;
  /// What the shares are of: "tokens", "samples", or "steps", which are taken to hold as many tokens in every stage.
  std::string share_of = "tokens";
  std::vector<Stage> stages;

  double samples_per_token() const;  ///< of a stage's sample, mean over the tokens
  /// 6 x forward MACs of a stage's sample over its tokens, mean over the tokens: attention counted stage by stage.
  double training_flops_per_token(const model::ModelConfig& model) const;
};

/// Pixels and frames that become one token.
struct Patching {
  double pixels = 1;  ///< along an edge: spatial compression x patch
  double frames = 1;  ///< temporal compression x temporal patch
};

/// Reads the file and fills in tokens and shares of tokens. Throws UserError: no stage, no source, shares that do not add
/// up to 1, pixels or frames that the patching does not divide.
Curriculum load_curriculum(const std::filesystem::path& file, const Patching& patching);

}  // namespace gpumonth::budget
