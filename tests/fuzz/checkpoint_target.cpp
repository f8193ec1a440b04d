#include <cmath>

#include "tests/fuzz/edits.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"
#include "tests/fuzz/scratch.h"
#include "tests/fuzz/target.h"
#include "trainer/state/checkpoint.h"

namespace gpumonth::fuzz {
namespace {

/// 21 tensors of few values.
const model::ModelConfig& tiny_model() {
  static const model::ModelConfig model = [] {
    model::ModelConfig m;
    m.input_size = 4, m.in_channels = 2, m.hidden_size = 8, m.depth = 1, m.num_heads = 1, m.num_classes = 3;
    return m;
  }();
  return model;
}

const model::ParameterTable& table() {
  static const model::ParameterTable t(tiny_model());
  return t;
}

using Values = std::vector<float>;

/// Every tensor's values tell where they stand. Padding between them is zero, as it always is.
Values known_values(float first) {
  Values values(static_cast<std::size_t>(table().flat_size()), 0.0f);
  for (const auto& p : table().all())
    for (std::int64_t i = 0; i < p.count; ++i)
      values[static_cast<std::size_t>(p.offset + i)] = first + 1e-3f * static_cast<float>(p.offset + i);
  return values;
}

struct State {
  Values parameters, ema, exp_avg, exp_avg_sq;
  trainer::TrainingState pointers(bool whole) {
    if (!whole) return {.parameters = parameters.data()};
    return {parameters.data(), ema.data(), exp_avg.data(), exp_avg_sq.data()};
  }
};

State known_state() { return {known_values(1), known_values(-2), known_values(0.25f), known_values(3)}; }

std::string image(const char* name, bool whole) {
  const auto file = scratch_folder() / name;
  State state = known_state();
  const std::vector<std::int64_t> shape = {1, tiny_model().tokens(), tiny_model().hidden_size};
  const Values pos_embed(static_cast<std::size_t>(shape[1] * shape[2]), 0.5f);
  trainer::write_checkpoint(file, table(), state.pointers(whole), pos_embed, shape, {7, 42, "[run]\nsteps = 9\n", {}});
  return read_bytes(file);
}

const std::vector<Base>& bases() {
  static const std::vector<Base> all = {{"weights", image("weights.h5", false)}, {"whole", image("whole.h5", true)}};
  return all;
}

/// What was read is what was stored: nothing that HDF5 made up, nothing that no training goes on from.
void check_values(const Values& read, const Values& stored, bool may_differ) {
  for (std::size_t i = 0; i < read.size(); ++i) {
    check_finite(static_cast<double>(read[i]), "a value of an accepted checkpoint");
    if (!may_differ && read[i] != stored[i]) throw Fault("an accepted checkpoint gave values that it never held");
  }
}

}  // namespace

void checkpoint(const std::string& input, Effort) {
  const auto edits = parse_edits(input);
  const bool whole = !edits.empty() && edits[0] == Words{"base", "whole"};
  const auto file = edited_file("checkpoint.h5", bases(), edits);
  State state;
  for (Values* values : {&state.parameters, &state.ema, &state.exp_avg, &state.exp_avg_sq})
    values->assign(static_cast<std::size_t>(table().flat_size()), 0.0f);
  const auto info = trainer::read_checkpoint(file, table(), state.pointers(whole));
  if (info.step < 0) throw Fault("an accepted checkpoint of a negative step");
  const bool may_differ = may_change_values({edits.begin() + (whole ? 1 : 0), edits.end()});
  const State stored = known_state();
  check_values(state.parameters, stored.parameters, may_differ);
  if (!whole) return;
  check_values(state.ema, stored.ema, may_differ);
  check_values(state.exp_avg, stored.exp_avg, may_differ);
  check_values(state.exp_avg_sq, stored.exp_avg_sq, may_differ);
}

std::string mutate_checkpoint(const std::string& input, std::mt19937& random) {
  return mutate_edits(bases(), input, random);
}

}  // namespace gpumonth::fuzz
