// The graphs of attention's passes for cudnn-frontend. Only attention_cudnn_cuda.cpp includes this: 20 s to compile.
#pragma once

#include <cudnn_frontend.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "trainer/ops/attention.h"

namespace gpumonth::ops::attention {

namespace fe = cudnn_frontend;
using Graph = fe::graph::Graph;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;
using Sizes = std::vector<std::int64_t>;
using Pointers = std::unordered_map<std::int64_t, void*>;

enum Uid : std::int64_t { kQ = 1, kK, kV, kOut, kStats, kDout, kDq, kDk, kDv, kQueryTokens, kKeyTokens };

/// The part of a batch that one execution works on.
struct Piece {
  std::int64_t batch, heads;
};

/// Describes the tensors of one pass.
class GraphBuilder {
 public:
  GraphBuilder(const AttentionShape& shape, const Piece& piece)
      : shape_(shape), dims_{piece.batch, piece.heads, shape.tokens, shape.head_dim} {
    graph_->set_io_data_type(fe::DataType_t::BFLOAT16)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }

  std::shared_ptr<Graph> forward(fe::AttentionImplementation_t implementation) {
    const auto options = fe::graph::SDPA_attributes()
                             .set_name("attention")
                             .set_generate_stats(true)
                             .set_attn_scale(scale())
                             .set_implementation(implementation);
    auto [out, stats] = graph_->sdpa(input("q", kQ, qkv_strides()), input("k", kK, qkv_strides()),
                                     input("v", kV, qkv_strides()), options);
    output(out, kOut, dims_, out_strides());
    output(stats, kStats, stats_dims(), stats_strides()).set_data_type(fe::DataType_t::FLOAT);
    return graph_;
  }

  /// `padded`: with the token counts as tensors, see Fused::needs_token_counts.
  std::shared_ptr<Graph> backward(bool deterministic, bool padded) {
    auto options = fe::graph::SDPA_backward_attributes()
                       .set_name("attention_backward")
                       .set_attn_scale(scale())
                       .set_deterministic_algorithm(deterministic);
    if (padded)
      options.set_padding_mask(true)
          .set_seq_len_q(token_counts("query_tokens", kQueryTokens))
          .set_seq_len_kv(token_counts("key_tokens", kKeyTokens));
    const Tensor stats = graph_->tensor(fe::graph::Tensor_attributes()
                                            .set_name("stats")
                                            .set_uid(kStats)
                                            .set_dim(stats_dims())
                                            .set_stride(stats_strides())
                                            .set_data_type(fe::DataType_t::FLOAT));
    auto [dq, dk, dv] = graph_->sdpa_backward(input("q", kQ, qkv_strides()), input("k", kK, qkv_strides()),
                                              input("v", kV, qkv_strides()), input("out", kOut, out_strides()),
                                              input("dout", kDout, out_strides()), stats, options);
    output(dq, kDq, dims_, qkv_strides());
    output(dk, kDk, dims_, qkv_strides());
    output(dv, kDv, dims_, qkv_strides());
    return graph_;
  }

 private:
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(shape_.head_dim)); }
  std::int64_t width() const { return shape_.heads * shape_.head_dim; }
  Sizes qkv_strides() const { return {shape_.tokens * 3 * width(), shape_.head_dim, 3 * width(), 1}; }
  Sizes out_strides() const { return {shape_.tokens * width(), shape_.head_dim, width(), 1}; }
  Sizes stats_dims() const { return {dims_[0], dims_[1], dims_[2], 1}; }
  Sizes stats_strides() const { return {shape_.heads * shape_.tokens, shape_.tokens, 1, 1}; }

  Tensor input(const char* name, Uid uid, const Sizes& strides) {
    return graph_->tensor(
        fe::graph::Tensor_attributes().set_name(name).set_uid(uid).set_dim(dims_).set_stride(strides));
  }
  Tensor token_counts(const char* name, Uid uid) {
    return graph_->tensor(fe::graph::Tensor_attributes()
                              .set_name(name)
                              .set_uid(uid)
                              .set_dim({dims_[0], 1, 1, 1})
                              .set_stride({1, 1, 1, 1})
                              .set_data_type(fe::DataType_t::INT32));
  }
  static fe::graph::Tensor_attributes& output(const Tensor& tensor, Uid uid, const Sizes& dims, const Sizes& strides) {
    return tensor->set_output(true).set_uid(uid).set_dim(dims).set_stride(strides);
  }

  AttentionShape shape_;
  Sizes dims_;
  std::shared_ptr<Graph> graph_ = std::make_shared<Graph>();
};

}  // namespace gpumonth::ops::attention
