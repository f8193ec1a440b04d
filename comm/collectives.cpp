#include <array>
#include <stdexcept>
#include <string>

#include "comm/collective.h"

namespace gpumonth::comm {

// Each in the file of its name in comm/bench/.
Collective all_reduce(), reduce_scatter(), all_gather(), all_to_all();

std::span<const Collective> collectives() {
  static const std::array all = {all_reduce(), reduce_scatter(), all_gather(), all_to_all()};
  return all;
}

const Collective& collective(std::string_view name) {
  for (const Collective& operation : collectives())
    if (operation.name == name) return operation;
  throw std::invalid_argument("no collective " + std::string(name));
}

}  // namespace gpumonth::comm
