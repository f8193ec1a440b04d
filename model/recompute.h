// Which activations a training computes a second time, in backward, instead of keeping them.
#pragma once

#include <stdexcept>
#include <string>

namespace gpumonth::model {

enum class Recompute {
  none,
  linear,  ///< all of a block but attention, whose output and log-sum-exp are kept: cheap memory where samples are long
  full     ///< all of a block: its input is kept
};

inline const char* name(Recompute recompute) {
  switch (recompute) {
    case Recompute::none: return "none";
    case Recompute::linear: return "linear";
    case Recompute::full: return "full";
  }
  return "?";
}

/// std::invalid_argument: not one of the three, which a configuration has checked.
inline Recompute recompute_named(const std::string& text) {
  for (const Recompute r : {Recompute::none, Recompute::linear, Recompute::full})
    if (text == name(r)) return r;
  throw std::invalid_argument("recompute_named(" + text + ")");
}

}  // namespace gpumonth::model
