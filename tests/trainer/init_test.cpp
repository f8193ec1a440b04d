#include "trainer/dit/init.h"

#include <cmath>
#include <span>

#include "tests/catch.h"
#include "tests/trainer/ops/values.h"

namespace gpumonth::trainer {
namespace {

model::ModelConfig small() {
  model::ModelConfig m;
  m.input_size = 8;
  m.hidden_size = 72;
  m.depth = 3;
  m.num_heads = 3;
  m.num_classes = 10;
  return m;
}

std::vector<float> parameters_of(const model::ParameterTable& table, std::uint64_t seed, int threads) {
  ops::Cpu cpu{threads};
  std::vector<float> flat(static_cast<std::size_t>(table.flat_size()), NAN);
  initialize_parameters(cpu, table, seed, flat.data());
  return flat;
}

std::span<const float> values_of(const model::ParameterTable& table, const std::vector<float>& flat,
                                 const std::string& name) {
  const auto& p = table.at(name);
  return std::span(flat).subspan(static_cast<std::size_t>(p.offset), static_cast<std::size_t>(p.count));
}

struct Statistics {
  double mean = 0, deviation = 0, largest = 0;
};
Statistics statistics(std::span<const float> values) {
  Statistics s;
  const double n = static_cast<double>(values.size());
  for (const float v : values) {
    s.mean += double{v} / n;
    s.deviation += double{v} * double{v} / n;
    s.largest = std::max(s.largest, std::abs(double{v}));
  }
  s.deviation = std::sqrt(s.deviation);
  return s;
}

TEST_CASE("every tensor follows the reference's law") {
  const model::ParameterTable table(small());
  const auto flat = parameters_of(table, 5, 2);
  for (const auto& p : table.all()) {
    CAPTURE(p.name);
    const auto s = statistics(values_of(table, flat, p.name));
    const double n = static_cast<double>(p.count);
    if (p.name.ends_with(".bias") || p.name.find("adaLN") != std::string::npos ||
        p.name == "final_layer.linear.weight") {
      CHECK(s.largest == 0);
    } else if (p.name == "y_embedder.embedding_table.weight" || p.name.starts_with("t_embedder.mlp.")) {
      CHECK(s.deviation == Approx(0.02).epsilon(4 / std::sqrt(2 * n)));
      CHECK(std::abs(s.mean) < 4 * 0.02 / std::sqrt(n));
      CHECK(s.largest > 0.04);  // not uniform of the same deviation
    } else {
      const double fan_out = static_cast<double>(p.shape[0]), bound = std::sqrt(6 / (fan_out + n / fan_out));
      CHECK(s.largest <= bound);
      CHECK(s.largest > 0.98 * bound);
      CHECK(s.deviation == Approx(bound / std::sqrt(3.0)).epsilon(4 / std::sqrt(n)));
      CHECK(std::abs(s.mean) < 4 * bound / std::sqrt(3 * n));
    }
  }
}

TEST_CASE("initialisation depends on the seed, not on threads; tensors differ; padding is zero") {
  const model::ParameterTable table(small());
  const auto flat = parameters_of(table, 5, 1);
  CHECK(tests::same_bits(flat, parameters_of(table, 5, 3)));
  CHECK_FALSE(tests::same_bits(flat, parameters_of(table, 6, 1)));
  const auto a = values_of(table, flat, "blocks.0.attn.qkv.weight");
  const auto b = values_of(table, flat, "blocks.1.attn.qkv.weight");
  CHECK_FALSE(std::equal(a.begin(), a.end(), b.begin()));
  double all = 0, inside = 0;
  for (const float v : flat) all += std::abs(double{v});
  for (const auto& p : table.all())
    for (const float v : values_of(table, flat, p.name)) inside += std::abs(double{v});
  CHECK(all == Approx(inside).epsilon(1e-12));
}

}  // namespace
}  // namespace gpumonth::trainer
