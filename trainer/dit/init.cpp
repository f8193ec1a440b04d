#include "trainer/dit/init.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "trainer/ops/cpu/parallel.h"
#include "trainer/ops/random.h"

namespace gpumonth::trainer {
namespace {

enum class Law { zero, normal, xavier_uniform };

Law law_of(const std::string& name) {
  if (name.ends_with(".bias")) return Law::zero;
  if (name.find("adaLN_modulation") != std::string::npos || name.starts_with("final_layer.linear")) return Law::zero;
  if (name.starts_with("y_embedder.embedding_table") || name.starts_with("t_embedder.mlp")) return Law::normal;
  return Law::xavier_uniform;
}

/// Fills `count` values, four from each draw; value(random4, out[4]) makes them.
template <class F>
void fill(ops::Cpu& cpu, std::uint64_t seed, std::uint32_t tensor, std::int64_t count, float* out, F&& value) {
  ops::parallel_for(cpu, (count + 3) / 4, 4096, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t draw = begin; draw < end; ++draw) {
      float four[4];
      value(ops::philox(seed, 0, tensor, ops::Purpose::init, static_cast<std::uint32_t>(draw)), four);
      std::copy_n(four, std::min<std::int64_t>(4, count - 4 * draw), out + 4 * draw);
    }
  });
}

void fill_normal(ops::Cpu& cpu, std::uint64_t seed, std::uint32_t tensor, std::int64_t count, float* out) {
  constexpr float kStandardDeviation = 0.02f;
  fill(cpu, seed, tensor, count, out, [](const ops::Random4& r, float* four) {
    ops::normal4(r, four);
    for (int i = 0; i < 4; ++i) four[i] *= kStandardDeviation;
  });
}

/// Uniform in +-sqrt(6 / (fan in + fan out)); Glorot & Bengio, AISTATS 2010.
void fill_xavier(ops::Cpu& cpu, std::uint64_t seed, std::uint32_t tensor, const model::Parameter& p, float* out) {
  const std::int64_t fan_out = p.shape.at(0), fan_in = p.count / fan_out;
  const auto bound = static_cast<float>(std::sqrt(6.0 / static_cast<double>(fan_in + fan_out)));
  fill(cpu, seed, tensor, p.count, out, [bound](const ops::Random4& r, float* four) {
    for (int i = 0; i < 4; ++i) four[i] = bound * (2.0f * ops::uniform01(r.v[i]) - 1.0f);
  });
}

}  // namespace

Initialization::Initialization(const model::ParameterTable& table, std::uint64_t seed) : seed_(seed) {
  for (const model::Parameter& p : table.all()) number_[p.name] = 0;
  std::uint32_t number = 0;
  for (auto& [name, tensor] : number_) tensor = number++;
}

void Initialization::fill(ops::Cpu& cpu, const model::Parameter& p, float* values) const {
  const std::uint32_t tensor = number_.at(p.name);
  switch (law_of(p.name)) {
    case Law::zero: std::fill_n(values, p.count, 0.0f); break;
    case Law::normal: fill_normal(cpu, seed_, tensor, p.count, values); break;
    case Law::xavier_uniform: fill_xavier(cpu, seed_, tensor, p, values); break;
  }
}

void initialize_parameters(ops::Cpu& cpu, const model::ParameterTable& table, std::uint64_t seed, float* parameters) {
  std::fill_n(parameters, table.flat_size(), 0.0f);
  const Initialization initial(table, seed);
  for (const model::Parameter& p : table.all()) initial.fill(cpu, p, parameters + p.offset);
}

}  // namespace gpumonth::trainer
