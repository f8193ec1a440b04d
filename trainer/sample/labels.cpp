#include "trainer/sample/labels.h"

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/number_text.h"

namespace gpumonth::trainer {
namespace {

std::int32_t label_of(std::string_view item, const model::ModelConfig& model) {
  const bool has_null = model.label_rows() > model.num_classes;
  if (item == "null") {
    if (!has_null)
      user_error("--labels: this model has no null label, it was trained with class_dropout_prob = 0: leave null out");
    return model.num_classes;
  }
  const auto number = parse_number(item);
  if (!number || *number != std::floor(*number) || *number < 0 || *number >= model.num_classes)
    user_error("--labels: '{}' is no label of this model: give 0 to {}{}, with commas between", item,
               model.num_classes - 1, has_null ? " or null" : "");
  return static_cast<std::int32_t>(*number);
}

}  // namespace

std::vector<std::int32_t> sample_labels(const std::string& text, std::int64_t count, const model::ModelConfig& model) {
  std::vector<std::int32_t> given;
  if (text.empty()) {
    given.resize(static_cast<std::size_t>(model.num_classes));
    std::iota(given.begin(), given.end(), 0);
  } else {
    for (const std::string_view item : split_list(text, "--labels")) given.push_back(label_of(item, model));
  }
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(given[static_cast<std::size_t>(i) % given.size()]);
  return labels;
}

}  // namespace gpumonth::trainer
