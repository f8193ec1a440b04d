// Every trainable tensor of the DiT with its name and shape in the reference, and its place in the one flat
// buffer in which parameters, gradients, Adam moments and EMA are each kept.
//
// The order of the flat buffer is the order in which backward finishes the gradients: final layer, then
// blocks depth-1 .. 0 (fc2, fc1, proj, qkv), then the embedders; so a gradient bucket is a contiguous range.
// The adaLN parameters lie behind that, so that all modulations are one matrix product, (B, h) x
// ((2+6*depth)h, h)^T: first the weights, final layer (2h, h), then block depth-1 .. 0 (6h, h) each, without
// gaps; then the biases likewise.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/config.h"

namespace gpumonth::model {

struct Parameter {
  std::string name;                 ///< as in the reference's state_dict: "blocks.0.attn.qkv.weight"
  std::vector<std::int64_t> shape;  ///< as in the reference
  std::int64_t offset;              ///< first element in the flat buffer; aligned, but inside the adaLN regions
  std::int64_t count;               ///< elements
  int layer;                        ///< block index, -1 for embedders, depth for the final layer
};

/// Elements: every tensor outside the two adaLN regions, and each of these regions, starts at a multiple of
/// it, 256 bytes in fp32. The elements of padding between tensors are zero for ever.
constexpr std::int64_t kParameterAlignment = 64;

class ParameterTable {
 public:
  explicit ParameterTable(const ModelConfig& model);
  const std::vector<Parameter>& all() const& { return parameters_; }  ///< by offset
  const std::vector<Parameter>& all() && = delete;                    ///< would dangle
  const Parameter& at(const std::string& name) const;                 ///< throws std::out_of_range
  std::int64_t flat_size() const { return flat_size_; }               ///< elements of the flat buffer, padding included
  std::int64_t count() const { return count_; }                       ///< trainable parameters, padding excluded

 private:
  std::vector<Parameter> parameters_;
  std::int64_t flat_size_ = 0, count_ = 0;
};

}  // namespace gpumonth::model
