#include "budget/inputs/kernel_ceiling.h"

#include <cmath>

#include "budget/inputs/block_flops.h"

namespace gpumonth::budget {

bool has_kernel_rates(const model::Hardware& hardware) {
  return std::isfinite(hardware.products_flops_per_s) && std::isfinite(hardware.attention_forward_flops_per_s) &&
         std::isfinite(hardware.attention_backward_flops_per_s);
}

double kernel_ceiling(const model::Hardware& hardware, const model::ModelConfig& model, const std::string& recompute,
                      const LengthShares& lengths) {
  return harmonic_mean(lengths, [&](double tokens) {
    const BlockParts flops = block_forward_flops(model, tokens);
    const BlockParts forward{flops.linear / hardware.products_flops_per_s,
                             flops.attention / hardware.attention_forward_flops_per_s};
    const BlockParts all{3 * forward.linear,
                         forward.attention + 2 * flops.attention / hardware.attention_backward_flops_per_s};
    return 3 * flops.total() /
           (hardware.peak_flops_per_s * with_recompute(forward, all, recompute, recomputed_share(model)));
  });
}

}  // namespace gpumonth::budget
