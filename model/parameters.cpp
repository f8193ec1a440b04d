#include "model/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>

namespace gpumonth::model {
namespace {

using Shape = std::vector<std::int64_t>;

class Builder {
 public:
  Builder(std::vector<Parameter>& parameters, std::int64_t& flat_size) : list_(parameters), end_(flat_size) {}

  void align() { end_ = (end_ + kParameterAlignment - 1) / kParameterAlignment * kParameterAlignment; }
  void tensor(std::string name, Shape shape, int layer) {
    const auto count = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    list_.push_back({std::move(name), std::move(shape), end_, count, layer});
    end_ += count;
  }
  /// A linear layer's weight (out, in...) and bias (out), both aligned.
  void linear(const std::string& name, const Shape& weight, int layer) {
    align();
    tensor(name + ".weight", weight, layer);
    align();
    tensor(name + ".bias", {weight[0]}, layer);
  }

 private:
  std::vector<Parameter>& list_;
  std::int64_t& end_;
};

void add_block(Builder& build, const ModelConfig& m, int block) {
  const std::int64_t h = m.hidden_size, mlp = m.mlp_hidden();
  const std::string prefix = fmt::format("blocks.{}.", block);
  build.linear(prefix + "mlp.fc2", {h, mlp}, block);
  build.linear(prefix + "mlp.fc1", {mlp, h}, block);
  build.linear(prefix + "attn.proj", {h, h}, block);
  build.linear(prefix + "attn.qkv", {3 * h, h}, block);
}

void add_embedders(Builder& build, const ModelConfig& m) {
  const std::int64_t h = m.hidden_size;
  Shape patch = {h, m.in_channels};
  if (m.is_video()) patch.push_back(m.temporal_patch_size);
  patch.insert(patch.end(), {m.patch_size, m.patch_size});
  build.linear("x_embedder.proj", patch, -1);
  build.linear("t_embedder.mlp.2", {h, h}, -1);
  build.linear("t_embedder.mlp.0", {h, kFrequencyEmbeddingSize}, -1);
  build.align();
  build.tensor("y_embedder.embedding_table.weight", {m.label_rows(), h}, -1);
}

/// The weights or the biases of every adaLN layer, contiguous.
void add_modulation_region(Builder& build, const ModelConfig& m, bool weights) {
  const std::int64_t h = m.hidden_size;
  const auto add = [&](const std::string& layer_name, std::int64_t rows, int layer) {
    const Shape shape = weights ? Shape{rows, h} : Shape{rows};
    build.tensor(layer_name + ".adaLN_modulation.1" + (weights ? ".weight" : ".bias"), shape, layer);
  };
  build.align();
  add("final_layer", 2 * h, m.depth);
  for (int block = m.depth - 1; block >= 0; --block) add(fmt::format("blocks.{}", block), 6 * h, block);
}

}  // namespace

ParameterTable::ParameterTable(const ModelConfig& model) {
  Builder build(parameters_, flat_size_);
  build.linear("final_layer.linear", {model.patch_out(), model.hidden_size}, model.depth);
  for (int block = model.depth - 1; block >= 0; --block) add_block(build, model, block);
  add_embedders(build, model);
  add_modulation_region(build, model, true);
  add_modulation_region(build, model, false);
  build.align();
  for (const auto& parameter : parameters_) count_ += parameter.count;
}

const Parameter& ParameterTable::at(const std::string& name) const {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const Parameter& parameter) { return parameter.name == name; });
  if (found == parameters_.end()) throw std::out_of_range("no parameter '" + name + "'");
  return *found;
}

}  // namespace gpumonth::model
