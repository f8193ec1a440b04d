// Weight initialisation, as the reference's initialize_weights.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "model/parameters.h"
#include "trainer/ops/device.h"

namespace gpumonth::trainer {

/// Linear layers and the patch embedding (flattened to (h, C [pt] p p)): Xavier uniform; label table and timestep MLP:
/// normal(0, 0.02); biases, every adaLN projection and the final linear layer: 0. A tensor's numbers depend on the seed, the
/// set of names and its shape, not on its place in the buffer nor on the thread count.
class Initialization {
 public:
  Initialization(const model::ParameterTable& table, std::uint64_t seed);
  /// Fills `values` (parameter.count) in host memory.
  void fill(ops::Cpu& cpu, const model::Parameter& parameter, float* values) const;

 private:
  std::uint64_t seed_;
  std::map<std::string, std::uint32_t> number_;  // of a tensor, in the order of names
};

/// Fills the flat buffer (table.flat_size()) fp32 in host memory, padding with zeros.
void initialize_parameters(ops::Cpu& cpu, const model::ParameterTable& table, std::uint64_t seed, float* parameters);

}  // namespace gpumonth::trainer
