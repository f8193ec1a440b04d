#include <fmt/format.h>

#include <algorithm>

#include "model/flops.h"
#include "model/memory.h"
#include "model/parameters.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "trainer/run_config.h"

namespace gpumonth::fuzz {
namespace {

std::string resolved_text(trainer::RunConfig& c, bool with_help) {
  config::Table root;
  trainer::declare(root, c);
  return config::to_toml(root, with_help);
}

/// What a log keeps of a run reads back to the same run.
void check_round_trip(trainer::RunConfig& c, const std::string& input) {
  const std::string text = resolved_text(c, false);
  check_text(text, input);
  trainer::RunConfig again;
  config::Table root;
  trainer::declare(root, again);
  config::load_text(root, text, "resolved");
  again.model.from = c.model.from;  // stands in a comment
  if (resolved_text(again, false) != text) throw Fault("the resolved configuration reads back as another: " + text);
}

/// What `gpumonth flops` counts.
void count(const model::ModelConfig& model) {
  const model::ParameterTable table(model);
  std::int64_t parameters = 0;
  for (const auto& layer : model::layer_flops(model)) {
    if (layer.parameters < 0 || layer.forward_macs < 0) throw Fault("a negative count in " + layer.name);
    parameters += layer.parameters;
  }
  const std::int64_t counts[] = {table.count() - parameters,
                                 table.flat_size() - table.count(),
                                 model::train_flops(model),
                                 model::recompute_flops(model),
                                 model::attention_forward_macs(model),
                                 model.tokens(),
                                 model::sum(model::memory_parts(model, 1, model::Dtype::bf16))};
  if (std::any_of(std::begin(counts), std::end(counts), [](std::int64_t n) { return n < 0; }))
    throw Fault("a negative count");
}

}  // namespace

void run_config(const std::string& input, Effort) {
  const auto [text, overrides] = split_overrides(input);
  auto c = trainer::load_run(write_scratch("run.toml", text), overrides, 2);
  check_round_trip(c, input);
  count(c.model);
}

}  // namespace gpumonth::fuzz
