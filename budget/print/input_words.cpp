#include "budget/print/input_words.h"

#include "budget/formulas/inputs.h"
#include "budget/inputs/scenario.h"
#include "budget/plan/transfer.h"

namespace gpumonth::budget {

std::string input_words(const std::string& input) {
  if (input == kUtilisationInput) return "share of the peak that is reached (MFU)";
  if (input == kEfficiencyInput) return "scaling efficiency, from the fit";
  if (input == kTransferInput) return "loss by scaling carried over from the curve";
  const ScenarioKey* key = scenario_key(input);
  if (key == nullptr) return input;
  const std::string help = key->help;
  return help.substr(0, help.find_first_of(",;:"));
}

}  // namespace gpumonth::budget
