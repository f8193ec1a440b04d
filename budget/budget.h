// A whole budget: the ladder and everything beside it, from a scenario and run logs. Printed by text.h,
// json.h, and as a page by report.h.
#pragma once

#include <string>
#include <vector>

#include "budget/efficiency.h"
#include "budget/ladder.h"
#include "budget/lines.h"
#include "budget/scenario.h"

namespace gpumonth::budget {

struct Budget {
  Scenario scenario;
  std::vector<Efficiency> runs;
  std::vector<Rung> rungs;
  std::vector<Group> groups;       ///< training, inference, outputs, demand, cost; empty ones are left out
  std::vector<std::string> notes;  ///< what is unknown or left out, and why
};

/// Runs without an MFU are named in the notes.
Budget make_budget(Scenario scenario, const std::vector<Efficiency>& runs);

/// Tag and source of an input as rungs and lines name it: a scenario key, "run <path>", or "carried over".
struct InputDescription {
  Tag tag;
  std::string source;
  Number number;
};
InputDescription describe_input(const Budget& budget, const std::string& input);

/// "15.3 M .. 38.2 M minutes", "5.04 min per H100-hour".
std::string value_with_unit(const Budget& budget, const Number& number);

/// The whole budget for a terminal of 100 columns, and as JSON (docs/method.md, "JSON").
std::string to_text(const Budget& budget);
std::string to_json_text(const Budget& budget);

}  // namespace gpumonth::budget
