// A number that knows its range, its unit and where it comes from. Arithmetic on positive numbers carries the
// range (interval arithmetic) and the provenance along: a result is as good as its weakest input.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace gpumonth::budget {

constexpr double kHoursPerDay = 24;
constexpr double kTrainingFlopsPerForwardMac = 6;  ///< 2 FLOP a MAC, backward twice the forward pass

/// From the strongest to the weakest.
enum class Tag { measured, replayed, published, fitted, simulated, assumed };

const char* name(Tag tag);
/// Throws std::invalid_argument for another word.
Tag parse_tag(const std::string& word);

struct Number {
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
  std::string unit = {};
  Tag tag = Tag::measured;               ///< weakest of the inputs; the strongest for a definition
  std::vector<std::string> inputs = {};  ///< scenario keys ("training.model_factor") and runs ("run a.h5")
  std::string formula = {};              ///< how it was made, in words a reader can redo; empty for an input

  bool known() const;  ///< finite at both ends
  bool is_range() const { return low != high; }
  /// The same number with this unit and formula.
  Number as(std::string new_unit, std::string new_formula = {}) const;
};

/// A definition, such as 3600 s/h: it has no source and weakens nothing.
Number exactly(double value, std::string unit = "1");

// Both operands are >= 0 (a divisor > 0). The unit is left empty: name it with as().
Number operator+(const Number& a, const Number& b);
Number operator-(const Number& a, const Number& b);  ///< a.low >= b.high
Number operator*(const Number& a, const Number& b);
Number operator/(const Number& a, const Number& b);
// With a definition, as exactly(factor).
inline Number operator*(double factor, const Number& a) { return exactly(factor) * a; }
inline Number operator*(const Number& a, double factor) { return a * exactly(factor); }
inline Number operator/(const Number& a, double divisor) { return a / exactly(divisor); }

/// share x a + (1 - share) x b for a >= b: the share stands there twice, and either of its ends is taken whole.
Number mixed(const Number& share, const Number& a, const Number& b);

/// `format` (base/format.h) of the one value, or of both ends: "15.3 M .. 38.2 M".
std::string range_text(const Number& number, std::string (*format)(double));

}  // namespace gpumonth::budget
