// A scenario's inputs as the values that formulas work on. V is Number (two ends, unit, provenance) or Column (one value
// per draw), so that a formula is written once:
//   template <class V> V gpu_hours(const Inputs<V>& in, const V& months) { return months * in.at("...") * kHoursPerDay; }
#pragma once

#include <string>

#include "budget/inputs/monte_carlo.h"
#include "budget/inputs/number.h"
#include "budget/inputs/scenario.h"

namespace gpumonth::budget {

/// How the utilisation and the scaling are called among what is drawn.
constexpr const char* kUtilisationInput = "utilisation";
constexpr const char* kEfficiencyInput = "scaling efficiency";

template <class V>
class Inputs;

/// Both ends of every range. The scenario must live longer than this.
template <>
class Inputs<Number> {
 public:
  /// `utilisation`: share of the peak that is reached; unknown where no formula asks for it.
  explicit Inputs(const Scenario& scenario, Number utilisation = {})
      : scenario_(scenario), utilisation_(std::move(utilisation)) {}

  const Scenario& scenario() const { return scenario_; }
  bool has(const std::string& key) const { return scenario_.has(key); }
  Number at(const std::string& key) const { return scenario_.at(key); }
  Number constant(double value) const { return exactly(value); }
  Number utilisation() const { return utilisation_; }

 private:
  const Scenario& scenario_;
  Number utilisation_;
};

/// The drawn values, and as constant columns those that are not drawn. Scenario and sample must live longer than this.
template <>
class Inputs<Column> {
 public:
  Inputs(const Scenario& scenario, const Sample& sample) : scenario_(scenario), sample_(sample) {}

  const Scenario& scenario() const { return scenario_; }
  bool has(const std::string& key) const { return scenario_.has(key); }
  Column at(const std::string& key) const {
    const auto found = sample_.values.find(key);
    return found != sample_.values.end() ? found->second : constant(scenario_.at(key).low);
  }
  Column constant(double value) const { return Column::Constant(sample_.draws, value); }
  Column utilisation() const { return at(kUtilisationInput); }

 private:
  const Scenario& scenario_;
  const Sample& sample_;
};

// What formulas need beside the four operators.

/// The same value with its unit and its formula in words; a column has neither.
inline Number named(const Number& value, const char* unit, const char* formula = "") { return value.as(unit, formula); }
inline Column named(Column value, const char*, const char* = "") { return value; }

/// share x a + (1 - share) x b.
inline Column mixed(const Column& share, const Column& a, const Column& b) { return share * a + (1 - share) * b; }

}  // namespace gpumonth::budget
