// Which numbers of ranks can share the tokens of one sample (Ulysses, arXiv:2309.14509): attention's heads are divided by
// them, everything else by runs of whole lines of patches.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "model/config.h"

namespace gpumonth::model {

/// Why so many ranks cannot share the model's samples, and how many can: "5 ranks cannot share 6 heads: take 1, 2 or 3".
/// A rank takes whole heads, and whole lines of patches (whole frames of patches where these are longer than a frame).
std::optional<std::string> why_not_shared(const ModelConfig& model, std::int64_t sequence_ranks);

}  // namespace gpumonth::model
