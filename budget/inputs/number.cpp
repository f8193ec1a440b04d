#include "budget/inputs/number.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string_view>
#include <unordered_set>

namespace gpumonth::budget {
namespace {

constexpr std::array kTagNames = {"measured", "replayed", "published", "fitted", "simulated", "assumed"};

Number combine(const Number& a, const Number& b, double low, double high) {
  Number out;
  out.low = low;
  out.high = high;
  out.tag = std::max(a.tag, b.tag);
  out.inputs = a.inputs;
  std::unordered_set<std::string_view> known(a.inputs.begin(),
                                             a.inputs.end());  // thousands of runs are possible
  for (const auto& input : b.inputs)
    if (known.insert(input).second) out.inputs.push_back(input);
  return out;
}

}  // namespace

const char* name(Tag tag) { return kTagNames.at(static_cast<std::size_t>(tag)); }

Tag parse_tag(const std::string& word) {
  for (std::size_t i = 0; i < kTagNames.size(); ++i)
    if (word == kTagNames[i]) return static_cast<Tag>(i);
  throw std::invalid_argument("not a provenance tag: " + word);
}

bool Number::known() const { return std::isfinite(low) && std::isfinite(high); }

Number Number::as(std::string new_unit, std::string new_formula) const {
  Number out = *this;
  out.unit = std::move(new_unit);
  out.formula = std::move(new_formula);
  return out;
}

Number exactly(double value, std::string unit) {
  Number out;
  out.low = out.high = value;
  out.unit = std::move(unit);
  return out;
}

Number operator+(const Number& a, const Number& b) { return combine(a, b, a.low + b.low, a.high + b.high); }
Number operator-(const Number& a, const Number& b) { return combine(a, b, a.low - b.high, a.high - b.low); }
Number operator*(const Number& a, const Number& b) { return combine(a, b, a.low * b.low, a.high * b.high); }
Number operator/(const Number& a, const Number& b) { return combine(a, b, a.low / b.high, a.high / b.low); }

std::string range_text(const Number& number, std::string (*format)(double)) {
  if (!number.known()) return "unknown";
  const std::string low = format(number.low), high = format(number.high);
  return low == high ? low : fmt::format("{} .. {}", low, high);
}

Number mixed(const Number& share, const Number& a, const Number& b) {
  Number mean = share * a + (exactly(1) - share) * b;
  mean.low = share.low * a.low + (1 - share.low) * b.low;
  mean.high = share.high * a.high + (1 - share.high) * b.high;
  return mean;
}

}  // namespace gpumonth::budget
