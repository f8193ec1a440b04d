#include "budget/budget.h"
#include "budget/inputs/scenario.h"
#include "budget/plan/sweep.h"
#include "tests/fuzz/harnesses.h"
#include "tests/fuzz/oracle.h"
#include "tests/fuzz/scratch.h"

namespace gpumonth::fuzz {

void scenario(const std::string& input, Effort effort) {
  const auto [text, overrides] = split_overrides(input);
  const auto given = budget::load_scenario(write_scratch("scenario.toml", text), overrides);
  for (const auto& [key, value] : given.inputs) {
    check_finite(value.number.low, key.c_str());
    check_finite(value.number.high, key.c_str());
  }
  if (effort == Effort::quick) return;
  const auto budget = budget::make_budget(given, {}, {.gpus = budget::usual_sweep(given)});
  check_text(to_text(budget), input);
  check_json(budget::to_json_text(budget), input);
}

}  // namespace gpumonth::fuzz
