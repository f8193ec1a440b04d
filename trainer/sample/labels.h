// The labels of samples, as a command line gives them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace gpumonth::trainer {

/// `count` labels: those of `text`, "3,5,null", again and again; without a text every class in turn. "null" is
/// num_classes. UserError: what is no label of the model, the null label of a model that has none.
std::vector<std::int32_t> sample_labels(const std::string& text, std::int64_t count, const model::ModelConfig& model);

}  // namespace gpumonth::trainer
