// What would make the budget surer: the input with the largest share of the variance, and the command that measures it.
#include <fmt/format.h>

#include <array>
#include <string>

#include "base/format.h"
#include "budget/formulas/inputs.h"
#include "budget/print/input_words.h"
#include "report/html.h"
#include "report/report.h"

namespace gpumonth::report {
namespace {

/// How a run tells an input: those whose name starts with `prefix`.
struct Measurement {
  const char* prefix;
  const char* words;    ///< {} is the hardware
  const char* command;  ///< {} is the scenario
};

constexpr const char* kTrainAndReport =
    "gpumonth train configs/runs/video.toml\n"
    "gpumonth report runs/*/run.h5 -o report.html --scenario {}";
constexpr const char* kSweepAndReport =
    "jobs/sweep.sh configs/runs/video.toml --ranks \"8 16 32 64\" --out runs/sweep\n"
    "gpumonth report runs/sweep/*/run.h5 -o report.html --scenario {}";

constexpr std::array kMeasurements = {
    Measurement{budget::kUtilisationInput,
                "A few hundred steps on one {} tell it, of a model as wide and of clips as long as the scenario's:",
                kTrainAndReport},
    Measurement{budget::kEfficiencyInput, "The same training on several numbers of {} GPUs tells it:", kSweepAndReport},
    Measurement{"scaling.", "The same training on several numbers of {} GPUs tells it:", kSweepAndReport},
    Measurement{"goodput.checkpoint",
                "A run on {} that writes checkpoints where the training will tells it:", kTrainAndReport},
};

const Measurement* measurement_of(const std::string& input) {
  for (const auto& measurement : kMeasurements)
    if (input.starts_with(measurement.prefix)) return &measurement;
  return nullptr;
}

std::string commands(const std::string& text) { return "<pre>" + html::escape(text) + "</pre>\n"; }

std::string share_words(const budget::InputShare& input) {
  return fmt::format("{} ({:.0f} % of the variance; {})", html::escape(budget::input_words(input.share.input)),
                     100 * input.share.first_order, html::tag(input.tag));
}

std::string measured_by(const budget::Budget& budget, const Measurement& measurement) {
  return fmt::format(fmt::runtime(measurement.words), html::escape(budget.scenario.hardware.name)) + "</p>\n" +
         commands(fmt::format(fmt::runtime(measurement.command), budget.scenario.path));
}

}  // namespace

std::string surer(const budget::Budget& budget) {
  if (budget.months_shares.empty())
    return "<p>Nothing in it varies: give the inputs ranges (low = ..., high = ...), and the one that matters most is "
           "named here.</p>\n";
  const budget::InputShare& first = budget.months_shares.front();
  std::string out = "<p>To know " + share_words(first) + ". ";
  if (const Measurement* measurement = measurement_of(first.share.input))
    return out + measured_by(budget, *measurement);
  out += "No run measures it: it is for those who plan the training to say. The budget for one value of it:</p>\n" +
         commands(fmt::format("gpumonth budget {} --set {}=VALUE", budget.scenario.path, first.share.input));
  for (const auto& input : budget.months_shares)
    if (const Measurement* measurement = measurement_of(input.share.input))
      return out + "<p>The first that a run measures is " + share_words(input) + ". " +
             measured_by(budget, *measurement);
  return out;
}

}  // namespace gpumonth::report
