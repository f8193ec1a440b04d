// Which part of the training state each of the data-parallel ranks holds and updates (Rajbhandari et al. 2020, "ZeRO: memory
// optimizations toward training trillion parameter models").
#pragma once

#include <stdexcept>
#include <string>

namespace gpumonth::model {

enum class Sharding {
  none,
  optimizer,  ///< ZeRO-1: moments and EMA by shares
  full        ///< ZeRO-3, FSDP: weights and gradients, too; those of two blocks are whole at a time
};

inline const char* name(Sharding sharding) {
  switch (sharding) {
    case Sharding::none: return "none";
    case Sharding::optimizer: return "optimizer";
    case Sharding::full: return "full";
  }
  return "?";
}

/// std::invalid_argument: not one of the three, which a configuration has checked.
inline Sharding sharding_named(const std::string& text) {
  for (const Sharding s : {Sharding::none, Sharding::optimizer, Sharding::full})
    if (text == name(s)) return s;
  throw std::invalid_argument("sharding_named(" + text + ")");
}

}  // namespace gpumonth::model
