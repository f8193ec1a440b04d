// Tokens by law, and what a curriculum makes of them, over the value V as in quantities.h. docs/method.md, "data".
#pragma once

#include "budget/formulas/inputs.h"

namespace gpumonth::budget {

/// Tokens that scaling laws call optimal for the model's size, times over-training. Needs Scenario::has_law(), as all here.
template <class V>
V law_tokens(const Inputs<V>& in) {
  return named(in.at("data.optimal_tokens") * in.at("data.overtraining"), "token", "optimal_tokens x overtraining");
}

/// Images and clips of all stages together.
template <class V>
V law_samples(const Inputs<V>& in) {
  return named(in.at("data.curriculum") * in.scenario().curriculum->samples_per_token() * law_tokens(in), "sample",
               "tokens x sum over stages of share / tokens of a sample");
}

/// To train on a token, mean over the curriculum.
template <class V>
V law_flops_per_token(const Inputs<V>& in) {
  const Scenario& s = in.scenario();
  return named(in.at("data.curriculum") * s.curriculum->training_flops_per_token(s.model) * in.at("model"), "FLOP",
               "sum over stages of share x 6 MACs(stage) / tokens of a sample");
}

template <class V>
V law_compute(const Inputs<V>& in) {
  return named(law_tokens(in) * law_flops_per_token(in), "FLOP",
               "tokens x sum over stages of share x 6 MACs(stage) / tokens of a sample");
}

}  // namespace gpumonth::budget
